//! What the kernel and its machine use: the reply to a `usage_request`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Measures, each time since the time before.
#[derive(Clone, Default)]
pub(super) struct Usage {
    system: Arc<Mutex<Option<System>>>,
}

impl Usage {
    /// Memory in bytes, processor time in percent of one processor, of the kernel with all processes below it and of
    /// the machine. The first answer has no processor time, since there is nothing to compare with.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn measure(&self) -> Result<Value, sysinfo::Error> {
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        let system = match &mut *system {
            Some(system) => system,
            none => none.insert(System::new()?),
        };
        let first = system.processes().is_empty();
        let kind = ProcessRefreshKind::nothing()
            .with_cpu()
            .with_memory()
            .without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        system.refresh_cpu_usage();
        system.refresh_memory();
        let own = std::process::id();
        let parents: HashMap<Pid, Pid> = system
            .processes()
            .iter()
            .filter_map(|(pid, process)| Some((*pid, process.parent()?)))
            .collect();
        let (mut memory, mut processor) = (0, 0.0);
        for (pid, process) in system.processes() {
            if is_below(*pid, Pid::from_u32(own), &parents) {
                memory += process.memory();
                processor += process.cpu_usage();
            }
        }
        let total = system.total_memory();
        let available = system.available_memory();
        let percent = 100.0 * (1.0 - available as f64 / total.max(1) as f64);
        let mut usage = json!({
            "hostname": System::host_name().unwrap_or_default(),
            "pid": own,
            "kernel_memory": memory,
            "cpu_count": system.cpus().len(),
            "host_virtual_memory": {
                "total": total,
                "available": available,
                "used": system.used_memory(),
                "free": system.free_memory(),
                "percent": (percent * 10.0).round() / 10.0,
            },
        });
        if !first {
            usage["kernel_cpu"] = json!(processor);
            usage["host_cpu_percent"] = json!(system.global_cpu_usage());
        }
        Ok(usage)
    }
}

/// Whether a process is another one, or was started by it or by those below it.
fn is_below(mut pid: Pid, top: Pid, parents: &HashMap<Pid, Pid>) -> bool {
    // A number may have been given anew while the list was read, so that it has a ring.
    for _ in 0..parents.len() + 1 {
        if pid == top {
            return true;
        }
        match parents.get(&pid) {
            Some(parent) => pid = *parent,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_processor_time_are_those_of_all_processes_below() {
        let usage = Usage::default();
        let first = usage.measure().expect("an answer");
        assert!(first["kernel_cpu"].is_null(), "nothing to compare with");
        let mut child = std::process::Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .expect("a shell");
        usage.measure().expect("an answer");
        std::thread::sleep(std::time::Duration::from_millis(500));
        let second = usage.measure().expect("an answer");
        let _ = child.kill().and_then(|()| child.wait());
        let number = |value: &Value, key: &str| value[key].as_f64().unwrap_or(-1.0);
        assert!(number(&second, "kernel_cpu") > 5.0, "{second}");
        assert!(number(&second, "kernel_memory") > 1e6, "{second}");
        let host = &second["host_virtual_memory"];
        assert!(number(host, "total") > number(host, "available"), "{host}");
        assert!((0.0..=100.0).contains(&number(host, "percent")), "{host}");
    }

    #[test]
    fn a_ring_of_parents_has_an_end() {
        let [one, two, three] = [1, 2, 3].map(Pid::from_u32);
        let parents = HashMap::from([(one, two), (two, one), (three, two)]);
        assert!(!is_below(three, Pid::from_u32(9), &parents));
        assert!(is_below(three, one, &parents));
    }
}
