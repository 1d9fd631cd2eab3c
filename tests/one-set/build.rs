//! Nothing to do: a crate has to have one for its build dependencies to count.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
