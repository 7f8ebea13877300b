//! Images of kernels: from Debian's packages, or the user's own.

use crate::archive::Archive;
use crate::kernels::Kernel;
use anyhow::{Context as _, Result, bail};
use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};

/// The image of the newest package of a series, downloaded if it is not in the cache.
///
/// # Errors
/// If there is no apt, no Debian archive among the machine's sources, no such package, or no network, and
/// nothing of the series in the cache.
pub fn image_from(archive: &Archive, kernel: &Kernel) -> Result<PathBuf> {
    match (download(archive, kernel), newest_here(archive, kernel)) {
        (Ok(image), _) => Ok(image),
        (Err(error), Some(image)) => {
            eprintln!("tombola-vm: {error:#}; using {} from the cache", image.display());
            Ok(image)
        }
        (Err(error), None) => Err(error),
    }
}

fn download(archive: &Archive, kernel: &Kernel) -> Result<PathBuf> {
    let Kernel { series, suite, arch, .. } = kernel;
    let suite_of = archive.suite(suite, *arch)?;
    let pattern =
        format!("^linux-(binary|image)-{}[.][0-9].*-{}$", series.replace('.', "[.]"), kernel.flavour());
    let names = suite_of.search(&pattern)?;
    let package =
        newest(names.iter().map(String::as_str)).with_context(|| format!("no kernel {series} in {suite}"))?;
    let of_arch = format!("{package}:{}", arch.debian());
    let place = archive.file("kernels").join(package);
    if let Some(image) = image_in(&place) {
        return Ok(image);
    }
    let made = tempfile::tempdir_in(archive.file("kernels"))?;
    let unpacked = made.path().join("unpacked");
    suite_of.unpack(&of_arch, &unpacked)?;
    let image = find_image(&unpacked).with_context(|| format!("there is no kernel image in {package}"))?;
    // Moved into place at the end, so that an interrupted download leaves no half of a kernel.
    let done = made.path().join("done");
    fs::create_dir(&done)?;
    fs::rename(&image, done.join("vmlinuz"))?;
    fs::rename(&done, &place).with_context(|| format!("writing {}", place.display()))?;
    image_in(&place).context("the image vanished")
}

fn newest_here(archive: &Archive, kernel: &Kernel) -> Option<PathBuf> {
    let (series, ending) = (&kernel.series, format!("-{}", kernel.flavour()));
    let names: Vec<String> = fs::read_dir(archive.file("kernels"))
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(&ending))
        .filter(|name| {
            ["linux-binary-", "linux-image-"].iter().any(|kind| name.starts_with(&format!("{kind}{series}.")))
        })
        .collect();
    image_in(&archive.file("kernels").join(newest(names.iter().map(String::as_str))?))
}

/// The newest of packages by the numbers in their names; of two of one version the smaller, split one.
fn newest<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names.max_by_key(|name| {
        let numbers: Vec<u64> =
            name.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        (numbers, Reverse(*name))
    })
}

fn image_in(place: &Path) -> Option<PathBuf> {
    let image = place.join("vmlinuz");
    image.is_file().then_some(image)
}

fn find_image(dir: &Path) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    entries.iter().find_map(|path| {
        if path.is_dir() && !path.is_symlink() {
            return find_image(path);
        }
        let named = path.file_name()?.to_str()?.starts_with("vmlinuz");
        (named && path.is_file()).then(|| path.clone())
    })
}

/// The image named by the user.
///
/// # Errors
/// If it is not an x86 kernel image.
pub fn image_of(file: &Path) -> Result<PathBuf> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    // Documentation/arch/x86/boot.rst: the header's magic is at 0x202.
    if bytes.get(0x202..0x206) != Some(b"HdrS") {
        bail!("{} is no x86 kernel image (a vmlinuz or bzImage)", file.display());
    }
    Ok(file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_package_is_found_by_its_numbers() {
        let names = [
            "linux-image-6.19.6+deb13-cloud-amd64",
            "linux-image-6.19.14+deb13-cloud-amd64",
            "linux-binary-6.19.14+deb13-cloud-amd64",
            "linux-binary-6.19.8+deb13-cloud-amd64",
        ];
        assert_eq!(newest(names.into_iter()), Some("linux-binary-6.19.14+deb13-cloud-amd64"));
        let abi = ["linux-image-6.1.0-9-cloud-amd64", "linux-image-6.1.0-50-cloud-amd64"];
        assert_eq!(newest(abi.into_iter()), Some("linux-image-6.1.0-50-cloud-amd64"));
        assert_eq!(newest([].into_iter()), None);
    }
}
