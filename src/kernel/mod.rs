//! The Jupyter kernel: five sockets, one thread that executes cells, and nothing that waits for it.
//!
//! ```text
//! ports ──▶ gate.rs ──▶ zeromq's sockets:
//! shell ──▶ shell.rs ──execute──▶ worker.rs (session) ──outputs──▶ iopub.rs ──▶ front ends
//!                    ──comms────▶ comm.rs ──▶ the process of the session
//! control ─▶ shell.rs ──interrupt, shutdown──▶ worker     by way of message.rs; answers: info, usage, debug
//! stdin ◀──▶ stdin.rs ◀──questions of a cell── worker       heartbeat: what comes in goes out
//! ```
//!
//! The sockets are bound first and `kernel_info` is answered at once; prelude, evcxr and the process for
//! cells come up meanwhile in the worker.

mod comm;
mod connection;
mod debug;
mod gate;
mod info;
mod iopub;
mod message;
mod shell;
mod stdin;
mod usage;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jupyter_zmq_client::{
    create_kernel_control_connection, create_kernel_heartbeat_connection,
    create_kernel_iopub_xpub_connection, create_kernel_shell_connection,
    create_kernel_stdin_connection,
};
use tokio::sync::{Notify, mpsc};

use crate::analysis::Analyst;
use crate::history::History;
use crate::session::Workshop;

pub use connection::ConnectionError;

/// Serves the front end that wrote `connection_file` until it asks for the end.
///
/// # Errors
/// When the file is not a connection file, or its sockets cannot be bound.
pub fn run(connection_file: &Path, workshop: Arc<Workshop>) -> Result<(), ConnectionError> {
    let info = connection::read(connection_file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ConnectionError::Runtime)?;
    let files = Arc::clone(&workshop);
    let served = runtime.block_on(async {
        let session_id = uuid::Uuid::new_v4().to_string();
        let compiler = info::Compiler::find(&crate::prelude::cache());
        let ports = info.clone();
        let gate = gate::Gate::open(&info, workshop.path()).await?;
        let info = gate.inside.clone();
        let bind = |channel: &'static str, port: u16| {
            move |source| ConnectionError::bind(channel, port, source)
        };
        let mut heartbeat = create_kernel_heartbeat_connection(&info)
            .await
            .map_err(bind("heartbeat", info.hb_port))?;
        let iopub = create_kernel_iopub_xpub_connection(&info, &session_id)
            .await
            .map_err(bind("iopub", info.iopub_port))?;
        let shell = create_kernel_shell_connection(&info, &session_id)
            .await
            .map_err(bind("shell", info.shell_port))?;
        let control = create_kernel_control_connection(&info, &session_id)
            .await
            .map_err(bind("control", info.control_port))?;
        let stdin = create_kernel_stdin_connection(&info, &session_id)
            .await
            .map_err(bind("stdin", info.stdin_port))?;

        let names = ["shell", "control", "stdin"].map(|channel| gate.names(channel));
        let [shell_names, control_names, stdin_names] = names;
        let _sockets = gate.serve();
        let publisher = iopub::start(iopub);
        publisher.starting();
        let (to_shell, to_control) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let history = History::open();
        let comms = comm::Comms::new(publisher.clone());
        let beside = worker::Beside {
            comms: comms.clone(),
            stdin: stdin::start(stdin, stdin_names),
        };
        let analyst = Analyst::default();
        let worker = worker::start(
            workshop,
            publisher.clone(),
            to_shell.0.clone(),
            history.clone(),
            beside,
            analyst.clone(),
        );
        let stop = Arc::new(Notify::new());
        let handler = shell::Handler::new(
            publisher,
            worker.clone(),
            comms,
            history,
            analyst,
            compiler,
            ports,
        );
        tokio::spawn(async move {
            loop {
                // A client that sends nonsense, or is gone before its answer, is no reason to be silent to others.
                if connection::echo(&mut heartbeat).await.is_err() {
                    tokio::time::sleep(connection::PAUSE).await;
                }
            }
        });
        for (name, connection, names, replies) in [
            ("shell", shell, shell_names, to_shell),
            ("control", control, control_names, to_control),
        ] {
            let served = shell::serve(
                name,
                (connection, names),
                replies,
                handler.clone(),
                Arc::clone(&stop),
            );
            tokio::spawn(served);
        }
        tokio::select! {
            () = stop.notified() => {}
            () = parent_gone() => {}
            () = terminated(worker.clone()) => {}
        }
        worker.end();
        // The reply to the shutdown request is on its way.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    });
    files.close();
    served
}

/// Waits until the front end that started this kernel has died without saying so.
async fn parent_gone() {
    if std::env::var_os("JPY_PARENT_PID").is_none() {
        return std::future::pending().await;
    }
    let parent = nix::unistd::getppid();
    while nix::unistd::getppid() == parent {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Waits for SIGTERM; a SIGINT is for the cell.
async fn terminated(worker: worker::Worker) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => worker.interrupt(),
            _ = terminate.recv() => return,
        }
    }
}
