//! Looks at a page with Chromium, without a window: in light and dark, wide and narrow, and on paper.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A browser, if there is one.
pub fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    found.into_iter().find(|program| program.is_file())
}

/// Fails unless the page is drawn as it should be, says nothing on the console and asks for nothing.
pub fn look(browser: &Path, page: &str) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("page.html", page);
    write("empty.html", "<!DOCTYPE html><title>empty</title>");
    // What the page's policy forbids is told on the console: so would anything be that it asked for.
    let asking = page.replace("<main>", "<main><img alt=\"\" src=\"http://127.0.0.1:9/x\">");
    assert_ne!(asking, page);
    write("asking.html", &asking);
    let run = |arguments: &[&str], file: &str| {
        let output = Command::new("timeout")
            .arg("120")
            .arg(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--enable-logging=stderr",
            ])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .args(arguments)
            .arg(format!("file://{}", folder.path().join(file).display()))
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        log
    };
    let shot = |file: &str, size: &str, more: &[&str], to: &str| {
        let (size, to_file) = (format!("--window-size={size}"), format!("--screenshot={to}"));
        let log = run(&[&[&*size, &*to_file], more].concat(), file);
        let image = fs::read(folder.path().join(to)).unwrap();
        let width = u32::from_be_bytes(*image[16..].first_chunk().unwrap());
        let height = u32::from_be_bytes(*image[20..].first_chunk().unwrap());
        assert_eq!(format!("{width},{height}"), size[14..], "the size of {to}");
        (image, log)
    };
    let is_silent = |log: &str| assert!(!log.contains("CONSOLE"), "{log}");
    let (light, log) = shot("page.html", "1200,1600", &[], "light.png");
    is_silent(&log);
    let (dark, log) =
        shot("page.html", "1200,1600", &["--blink-settings=preferredColorScheme=0"], "dark.png");
    is_silent(&log);
    let (narrow, log) = shot("page.html", "500,1600", &[], "narrow.png");
    is_silent(&log);
    let (empty, _) = shot("empty.html", "1200,1600", &[], "empty.png");
    for image in [&light, &dark, &narrow] {
        assert!(image.len() > 4 * empty.len(), "{} bytes, {} if nothing is drawn", image.len(), empty.len());
    }
    assert!(light != dark, "dark is as light as light");
    let (_, log) = shot("asking.html", "1200,1600", &[], "asking.png");
    assert!(log.contains("CONSOLE"), "a page that asks for something would be noticed: {log}");
    is_silent(&run(&["--print-to-pdf=page.pdf", "--no-pdf-header-footer"], "page.html"));
    let pdf = fs::read(folder.path().join("page.pdf")).unwrap();
    assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 10_000, "{} bytes", pdf.len());
}
