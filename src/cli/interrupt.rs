//! What happens at SIGINT and SIGTERM: the program ends with the code for it, at once, or, while a command
//! asked for it, when the command has tidied up; a second signal then ends it at once. Knows no command.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::exit::Exit;

/// The signals' handlers, which stay installed.
#[derive(Debug, Clone)]
pub struct Interrupt {
    stop: Arc<AtomicBool>,
    at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// Installs the handlers.
    pub fn install() -> io::Result<Self> {
        let interrupt = Self { stop: Arc::default(), at_once: Arc::new(AtomicBool::new(true)) };
        for signal in [SIGINT, SIGTERM] {
            // Handlers run in the order in which they are registered, so the first signal passes the
            // first of them and arms it for the second.
            let code = i32::from(Exit::Interrupted.code());
            flag::register_conditional_shutdown(signal, code, Arc::clone(&interrupt.at_once))?;
            flag::register(signal, Arc::clone(&interrupt.at_once))?;
            flag::register(signal, Arc::clone(&interrupt.stop))?;
        }
        Ok(interrupt)
    }

    /// From now on, the first signal only sets the flag that is returned.
    pub fn deferred(&self) -> Arc<AtomicBool> {
        self.at_once.store(false, Ordering::SeqCst);
        Arc::clone(&self.stop)
    }
}
