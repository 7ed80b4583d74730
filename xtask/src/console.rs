//! The web console: built, packed for the binary, and tested in a browser.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use crate::install;
use crate::node::Node;
use crate::rust;
use crate::step::Steps;
use crate::tool::{self, Done, cargo};

/// What a build is made from, besides its folders.
const FILES: &[&str] = &[
    "index.html",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "vite.config.ts",
    "scripts/pack.mjs",
];

fn folder() -> PathBuf {
    tool::root().join("frontends/console")
}

/// Where the server crate takes its console from.
fn packed() -> PathBuf {
    tool::root().join("frontends/server/console")
}

/// `cargo xtask console [--api]`.
pub(crate) fn run(args: &[String]) -> Done {
    match args {
        [] => build(&Node::ready()?),
        [one] if one == "--api" => api(&Node::ready()?),
        _ => Err("`console` takes `--api` or nothing".into()),
    }
}

/// The console for a binary about to be built; where there is no Node, the binary goes without, and says so.
pub(crate) fn before_binary() -> Done {
    match Node::ready() {
        Ok(node) => build(&node),
        Err(why) => {
            eprintln!("note: the gateway is built without the web console: {why}");
            Ok(())
        }
    }
}

/// Builds and packs it, unless that was done with the same sources.
fn build(node: &Node) -> Done {
    let (stamp, wanted) = (tool::scratch("console")?.join("sources.stamp"), digest()?);
    let is_there = packed().join("index.html").is_file();
    if is_there && fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        eprintln!("the console is up to date");
        return Ok(());
    }
    node.modules(&folder())?;
    node.tool("npm", &folder()).args(["run", "--silent", "build"]).run()?;
    node.tool("node", &folder()).args(["scripts/pack.mjs"]).args([packed()]).run()?;
    fs::write(&stamp, wanted).map_err(|e| format!("cannot write `{}`: {e}", stamp.display()))
}

/// A digest of everything that a build is made from.
fn digest() -> Result<String, String> {
    let mut files: Vec<PathBuf> = FILES.iter().map(|name| folder().join(name)).collect();
    for name in ["src", "public"] {
        collect(&folder().join(name), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for path in files {
        let bytes = fs::read(&path).map_err(|e| format!("cannot read `{}`: {e}", path.display()))?;
        hasher.write(path.as_os_str().as_encoded_bytes());
        hasher.write_usize(bytes.len());
        hasher.write(&bytes);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> Done {
    let failed = |e: std::io::Error| format!("cannot list `{}`: {e}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}

/// Takes over what the server's API has become: its document, and the types made from it.
fn api(node: &Node) -> Done {
    let document = cargo(["run", "-q", "-p", "sluicegate-server", "--example", "openapi"]).output()?;
    let path = folder().join("openapi.json");
    fs::write(&path, document + "\n").map_err(|e| format!("cannot write `{}`: {e}", path.display()))?;
    node.modules(&folder())?;
    node.tool("npm", &folder()).args(["run", "--silent", "api"]).run()
}

/// Types, style, texts, units and sizes; then people's ways through it in Chromium, against the gateway.
pub(crate) fn all(steps: &mut Steps) {
    let mut node = None;
    let built = steps.step("console", || {
        let found = Node::ready()?;
        found.modules(&folder())?;
        found.tool("npm", &folder()).args(["run", "--silent", "check"]).run()?;
        found.tool("npm", &folder()).args(["run", "--silent", "test"]).run()?;
        build(&found)?;
        found.tool("npm", &folder()).args(["run", "--silent", "size"]).run()?;
        node = Some(found);
        Ok(())
    });
    if let Some(node) = node.filter(|_| built) {
        steps.step("console in a browser", || browser(&node));
    }
}

fn browser(node: &Node) -> Done {
    // Debian's browser, and letters for what the console says in Chinese.
    if !tool::have("chromium") {
        install::apt(&["chromium", "fonts-noto-cjk"])?;
    }
    // The debug build reads the console's files when they are asked for, so that it needs no second build.
    rust::build()?;
    // With the whole workspace, whose features nothing else is built with.
    cargo(["build"]).args(rust::EVERYTHING).args(["--example", "made_history"]).run()?;
    let tests = folder().join("test");
    node.modules(&tests)?;
    node.tool("npx", &tests)
        .args(["--no-install", "playwright", "test"])
        .env("SLUICEGATE_BIN_DIR", tool::target().join("debug"))
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
        .run()
}
