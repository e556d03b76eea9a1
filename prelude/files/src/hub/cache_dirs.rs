//! The folders in which published things may lie.

use std::env;
use std::path::PathBuf;

/// The folders that are looked into, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheDirs {
    /// The folder that the user named for all data and networks.
    pub named: Option<PathBuf>,
    /// The hub's cache; what comes from the hub goes into the first.
    pub caches: Vec<PathBuf>,
    /// For networks that come from other servers.
    pub own: Option<PathBuf>,
}

impl CacheDirs {
    /// What the environment says; an empty variable is none.
    pub fn from_env() -> Self {
        let folder = |name: &str| {
            let value = env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        let user_cache =
            folder("XDG_CACHE_HOME").or_else(|| env::home_dir().map(|home| home.join(".cache")));
        let caches = [
            folder("HF_HUB_CACHE"),
            folder("HF_HOME").map(|home| home.join("hub")),
            user_cache.map(|cache| cache.join("huggingface/hub")),
        ];
        let mut caches: Vec<PathBuf> = caches.into_iter().flatten().collect();
        caches.dedup();
        let own = folder("ITD_CACHE").or_else(|| Some(dirs::cache_dir()?.join("itd")));
        Self {
            named: folder("ITD_DATA"),
            caches,
            own: own.map(|folder| folder.join("models")),
        }
    }
}
