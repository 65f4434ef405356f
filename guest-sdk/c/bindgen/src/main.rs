//! Writes the C bindings of `wit/`: `everwake-c-bindgen WIT_FOLDER OUT_FOLDER` makes `module.h`, `module.c` and
//! `module_component_type.o`, from which the linker knows what component to make.
//!
//! A program of the repository's own, because it compiles in seconds where the generator's command line takes
//! minutes, and because its version is then in `Cargo.lock`. Knows nothing of the SDK.

use anyhow::{Context, Result, bail};
use std::path::Path;
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

/// The world that modules are made for.
const WORLD: &str = "module";

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [contract, out] = arguments.as_slice() else {
        bail!("this takes two folders\nhint: everwake-c-bindgen wit target/c");
    };
    write(Path::new(contract), Path::new(out))
}

fn write(contract: &Path, out: &Path) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) =
        resolve.push_dir(contract).with_context(|| format!("`{}` is no contract", contract.display()))?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    let options = wit_bindgen_c::Opts { rename: short_names(&resolve), ..Default::default() };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    std::fs::create_dir_all(out).with_context(|| format!("`{}` cannot be made", out.display()))?;
    for (name, bytes) in files.iter() {
        let path = out.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    Ok(())
}

/// `ew_calls_send` instead of `everwake_game_calls_send`, and `ew_id_t` for what all interfaces share.
fn short_names(resolve: &Resolve) -> Vec<(String, String)> {
    let names = resolve.interfaces.iter().filter_map(|(id, interface)| {
        let name = interface.name.as_ref()?;
        let short = if name == "types" { "ew".into() } else { format!("ew_{}", name.replace('-', "_")) };
        Some((resolve.id_of(id)?, short))
    });
    names.collect()
}
