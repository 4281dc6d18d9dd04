//! What is to go wrong, and when: faults that a test orders beforehand.

/// A fault.
#[derive(Debug, Clone)]
pub enum Fault {
    /// An answer instead of doing it: status, headers, body.
    Instead(u16, &'static [(&'static str, &'static str)], String),
    /// The connection ends, and nothing is done.
    Drop,
    /// It is done, and the connection ends before the answer.
    DropAfter,
    /// It is done, and the answer says that it was not.
    After(u16, String),
    /// What is read is as it was before the last change.
    Stale,
}

impl Fault {
    /// As the API's own programs fail.
    pub fn coded(status: u16, code: &str, message: &str) -> Self {
        Self::Instead(status, &[], serde_json::json!({"error_code": code, "message": message}).to_string())
    }

    /// Too many calls.
    pub fn throttled() -> Self {
        let body = r#"{"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "RPC token bucket limit has been exceeded"}"#;
        Self::Instead(429, &[("retry-after", "1")], body.into())
    }

    /// A web page where JSON was expected.
    pub fn page(status: u16, title: &str) -> Self {
        Self::Instead(
            status,
            &[("content-type", "text/html")],
            format!("<html><title>{title}</title><body/></html>"),
        )
    }
}

/// Faults that wait for their calls.
#[derive(Debug, Default)]
pub struct Script {
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    path: &'static str,
    skip: usize,
    times: usize,
    fault: Fault,
}

impl Script {
    /// The next `times` calls whose path ends like this fail, after `skip` that do not.
    pub fn add(&mut self, path: &'static str, skip: usize, times: usize, fault: Fault) {
        self.waiting.push(Waiting { path, skip, times, fault });
    }

    /// What happens to this call.
    pub fn take(&mut self, path: &str) -> Option<Fault> {
        let due =
            self.waiting.iter_mut().find(|waiting| waiting.times > 0 && path.ends_with(waiting.path))?;
        if due.skip > 0 {
            due.skip -= 1;
            return None;
        }
        due.times -= 1;
        Some(due.fault.clone())
    }

    /// Whether every fault has happened.
    pub fn is_played(&self) -> bool {
        self.waiting.iter().all(|waiting| waiting.times == 0)
    }
}
