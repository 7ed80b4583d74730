//! Files that the console's build adds or takes away have this crate built anew.

fn main() {
    println!("cargo::rerun-if-changed=console");
}
