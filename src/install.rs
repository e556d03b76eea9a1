//! Kernel specifications: where front ends look for kernels, and the files that they find there.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::folder;

/// The name under which notebooks ask for this kernel.
pub const NAME: &str = "itd";
const LOGO: &[u8] = include_bytes!("logo.svg");

/// Where a kernel specification goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// For this user.
    User,
    /// For the Python environment in which this is called.
    SysPrefix,
    /// Below a folder, in `share/jupyter/kernels`.
    Prefix(PathBuf),
}

/// What keeps a kernel specification from being written or removed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("the kernel's name `{0}` must consist of letters, digits, `-`, `_` and `.`")]
    Name(String),
    #[error("no Python found for --sys-prefix: activate an environment, or use --prefix FOLDER")]
    NoPython,
    #[error("no home folder found: use --prefix FOLDER")]
    NoHome,
    #[error("no kernel `{name}` in {}: nothing to remove", folder.display())]
    Missing { name: String, folder: PathBuf },
    #[error("{} was not written by itd; it stays as it is", .0.display())]
    Foreign(PathBuf),
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Place {
    /// The folder that holds the specifications of all kernels.
    ///
    /// # Errors
    /// When the place cannot be found.
    pub fn folder(&self) -> Result<PathBuf, InstallError> {
        match self {
            Place::Prefix(prefix) => Ok(prefix.join("share/jupyter/kernels")),
            Place::SysPrefix => Place::Prefix(python_prefix()?).folder(),
            Place::User => {
                if let Some(folder) = folder::named("JUPYTER_DATA_DIR") {
                    return Ok(folder.join("kernels"));
                }
                let folder = match cfg!(target_os = "macos") {
                    true => dirs::home_dir().map(|home| home.join("Library/Jupyter")),
                    false => dirs::data_dir().map(|data| data.join("jupyter")),
                };
                Ok(folder.ok_or(InstallError::NoHome)?.join("kernels"))
            }
        }
    }
}

fn python_prefix() -> Result<PathBuf, InstallError> {
    for python in ["python3", "python"] {
        let asked = std::process::Command::new(python)
            .args(["-c", "import sys; print(sys.prefix)"])
            .output();
        if let Some(answer) = asked.ok().filter(|answer| answer.status.success()) {
            return Ok(PathBuf::from(
                String::from_utf8_lossy(&answer.stdout).trim(),
            ));
        }
    }
    Err(InstallError::NoPython)
}

/// Writes a kernel specification that starts `program`; gives its folder. One that is there is replaced in
/// one move, and only if it is ours.
///
/// # Errors
/// When it cannot be written; what was there stays.
pub fn install(place: &Place, name: &str, program: &Path) -> Result<PathBuf, InstallError> {
    check_name(name)?;
    let kernels = place.folder()?;
    let folder = kernels.join(name);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| InstallError::File { path, source }
    };
    if folder.exists() && !is_ours(&folder) {
        return Err(InstallError::Foreign(folder));
    }
    std::fs::create_dir_all(&kernels).map_err(at(&kernels))?;
    let text = specification(name, program);
    let same = |name: &str, content: &[u8]| {
        std::fs::read(folder.join(name)).is_ok_and(|old| old == content)
    };
    if same("kernel.json", text.as_bytes()) && same("logo-svg.svg", LOGO) {
        return Ok(folder);
    }
    let staging = tempfile::Builder::new()
        .prefix(".itd-")
        .tempdir_in(&kernels)
        .map_err(at(&kernels))?;
    std::fs::write(staging.path().join("kernel.json"), text).map_err(at(&folder))?;
    std::fs::write(staging.path().join("logo-svg.svg"), LOGO).map_err(at(&folder))?;
    // Temporary folders are private to their maker; a kernel is for everyone who can use the place.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::set_permissions(staging.path(), std::fs::Permissions::from_mode(0o755));
    }
    // What was there is out of the way for the shortest of times, and comes back if that does not work.
    let aside = tempfile::Builder::new()
        .prefix(".itd-")
        .tempdir_in(&kernels)
        .map_err(at(&kernels))?;
    let old = aside.path().join(name);
    if folder.exists() {
        std::fs::rename(&folder, &old).map_err(at(&folder))?;
    }
    if let Err(error) = std::fs::rename(staging.path(), &folder) {
        let _ = std::fs::rename(&old, &folder);
        return Err(at(&folder)(error));
    }
    Ok(folder)
}

/// What Jupyter reads of a kernel.
fn specification(name: &str, program: &Path) -> String {
    let display = match name {
        NAME => "Rust (itd)".to_owned(),
        other => format!("Rust ({other})"),
    };
    let mut environment = serde_json::Map::new();
    for variable in ["ITD_CACHE", "ITD_HISTORY", "ITD_PRELUDE"] {
        // The kernel starts in the notebook's folder. `off` is a word of the history's.
        let off = std::env::var_os(variable).filter(|value| value == "off");
        let value = off.map(PathBuf::from).or_else(|| folder::named(variable));
        if let Some(value) = value {
            environment.insert(variable.to_owned(), value.to_string_lossy().into());
        }
    }
    let spec = json!({
        "argv": [program, "kernel", "-f", "{connection_file}"],
        "display_name": display,
        "language": "rust",
        "interrupt_mode": "message",
        "env": environment,
        // JupyterLab looks there before it offers its panel of variables.
        "metadata": {"itd": {"version": env!("CARGO_PKG_VERSION")}, "debugger": true},
    });
    serde_json::to_string_pretty(&spec).unwrap_or_default() + "\n"
}

/// Removes a kernel specification; gives the folder that was removed.
///
/// # Errors
/// When there is none, or it is not ours.
pub fn uninstall(place: &Place, name: &str) -> Result<PathBuf, InstallError> {
    check_name(name)?;
    let folder = place.folder()?;
    let kernel = folder.join(name);
    if !kernel.exists() {
        let name = name.to_owned();
        return Err(InstallError::Missing { name, folder });
    }
    if !is_ours(&kernel) {
        return Err(InstallError::Foreign(kernel));
    }
    std::fs::remove_dir_all(&kernel).map_err(|source| InstallError::File {
        path: kernel.clone(),
        source,
    })?;
    Ok(kernel)
}

fn check_name(name: &str) -> Result<(), InstallError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match !name.is_empty() && !name.starts_with('.') && name.chars().all(allowed) {
        true => Ok(()),
        false => Err(InstallError::Name(name.to_owned())),
    }
}

fn is_ours(folder: &Path) -> bool {
    let text = std::fs::read_to_string(folder.join("kernel.json")).unwrap_or_default();
    let spec: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    spec["metadata"]["itd"].is_object()
}

/// The kernel specifications of this name that front ends of this user and environment find.
pub fn installed(name: &str) -> Vec<PathBuf> {
    let mut places = vec![Place::User];
    places.extend(python_prefix().ok().map(Place::Prefix));
    places.push(Place::Prefix(PathBuf::from("/usr/local")));
    places.push(Place::Prefix(PathBuf::from("/usr")));
    let folders = places
        .iter()
        .filter_map(|place| Some(place.folder().ok()?.join(name)));
    folders
        .filter(|folder| folder.join("kernel.json").is_file())
        .collect()
}

/// The program that a kernel specification starts.
pub fn program(folder: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(folder.join("kernel.json")).ok()?;
    let spec: serde_json::Value = serde_json::from_str(&text).ok()?;
    spec["argv"][0].as_str().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_installed_replaced_and_removed() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let place = Place::Prefix(folder.path().to_owned());
        for _ in 0..2 {
            let kernel = install(&place, "itd-test", Path::new("/bin/itd"))?;
            let spec: serde_json::Value =
                serde_json::from_str(&std::fs::read_to_string(kernel.join("kernel.json"))?)?;
            assert_eq!(
                spec["argv"],
                json!(["/bin/itd", "kernel", "-f", "{connection_file}"])
            );
            assert_eq!(spec["interrupt_mode"], "message");
            assert_eq!(program(&kernel), Some(PathBuf::from("/bin/itd")));
        }
        let removed = uninstall(&place, "itd-test")?;
        assert!(!removed.exists());
        assert!(matches!(
            uninstall(&place, "itd-test"),
            Err(InstallError::Missing { .. })
        ));
        Ok(())
    }

    #[test]
    fn what_others_installed_is_left_alone() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let place = Place::Prefix(folder.path().to_owned());
        let other = place.folder()?.join("rust");
        std::fs::create_dir_all(&other)?;
        std::fs::write(other.join("kernel.json"), "{\"argv\": [\"evcxr_jupyter\"]}")?;
        assert!(matches!(
            install(&place, "rust", Path::new("itd")),
            Err(InstallError::Foreign(_))
        ));
        assert!(matches!(
            uninstall(&place, "rust"),
            Err(InstallError::Foreign(_))
        ));
        assert!(other.join("kernel.json").exists());
        Ok(())
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        for name in ["", "..", "a/b", "Ä", ".hidden"] {
            let place = Place::Prefix(PathBuf::from("/nonexistent"));
            assert!(
                matches!(
                    install(&place, name, Path::new("itd")),
                    Err(InstallError::Name(_))
                ),
                "{name}"
            );
        }
    }
}
