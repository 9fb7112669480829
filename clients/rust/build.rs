//! Generates from the unpacked bundle, by a compiler that is written in Rust.

use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=PARLEY_PROTOS");
    let bundle = env::var("PARLEY_PROTOS")?;
    let services = ["digitalhuman/speech/v1/speech.proto", "digitalhuman/task/v1/task.proto"];
    let folders = [format!("{bundle}/protos"), format!("{bundle}/third_party")];
    tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".google.rpc", "::tonic_types::pb")
        .include_file("parley.rs")
        .compile_fds(protox::compile(services, folders)?)?;
    Ok(())
}
