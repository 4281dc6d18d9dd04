//! Whether a page is well-formed and refers to nothing: read by Python's parser, which knows nothing of how it was written.

use std::io::Write;
use std::process::{Command, Stdio};

const CHECK: &str = r#"
import sys
from html.parser import HTMLParser
VOID = {"meta", "br", "hr", "img", "input", "link"}
class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()
    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), (tag, names)
        for name, value in attributes:
            assert name not in ("src", "href", "srcset", "action", "data") and not name.startswith("on"), (tag, name)
            assert value is not None, (tag, name)
        if tag not in VOID:
            self.open.append(tag)
    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())
text = sys.stdin.buffer.read().decode("utf-8")
page = Page()
page.feed(text)
page.close()
assert not page.open, page.open
assert {"html", "head", "body", "table", "style"} <= page.seen, page.seen
assert not {"script", "link", "iframe", "img", "object", "a"} & page.seen, page.seen
assert "url(" not in text and "@import" not in text
assert not [c for c in text if (ord(c) < 32 and c != "\n") or c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]
"#;

/// Fails unless it is.
pub fn check(page: &str) {
    let mut python = Command::new("python3")
        .args(["-c", CHECK])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
