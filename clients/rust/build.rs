//! Generates from the unpacked bundle, by a compiler that is written in Rust.

use std::{env, error::Error, path::Path, process::exit};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=PARLEY_PROTOS");
    let bundle = env::var("PARLEY_PROTOS").unwrap_or_default();
    if !Path::new(&bundle).join("service_config.json").is_file() {
        println!(
            "cargo::error=PARLEY_PROTOS must be the folder of the unpacked bundle, which make protos-bundle packs"
        );
        exit(1);
    }
    let services = ["digitalhuman/speech/v1/speech.proto", "digitalhuman/task/v1/task.proto"];
    let folders = [format!("{bundle}/protos"), format!("{bundle}/third_party")];
    tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".google.rpc", "::tonic_types::pb")
        .include_file("parley.rs")
        .compile_fds(protox::compile(services, folders)?)?;
    Ok(())
}
