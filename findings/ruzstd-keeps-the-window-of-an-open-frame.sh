#!/usr/bin/env bash
# A zstd frame that is flushed and not ended, as a writer leaves it that goes on later (perf record -z writes one frame over all of its
# records and never ends it). All blocks are whole, and libzstd hands out every byte before it says that the input ended. ruzstd, the decoder in
# Rust, decodes the same blocks and hands out nothing of the last window, 512 KiB at this level: its reader fails with what it has, and its
# block decoder, told to go block by block, can be asked only for what lies further back than the window. A stream that is shorter than
# its window cannot be read at all. The guess, that two decoders of one format are exchangeable, holds for ended frames.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'T'
[package]
name = "unfinished"
version = "0.0.0"
edition = "2021"
[dependencies]
ruzstd = "=0.8.1"
zstd = "=0.13.3"
T
cat >"$work/src/main.rs" <<'R'
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder, StreamingDecoder};
use std::io::{Read, Write};

fn main() {
    for words in [40_000u32, 400_000] {
        let text: Vec<u8> = (0..words).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.write_all(&text).unwrap();
        encoder.flush().unwrap();
        let flushed = encoder.get_ref().as_slice();

        let mut by_libzstd = Vec::new();
        let end = zstd::stream::read::Decoder::new(flushed).unwrap().read_to_end(&mut by_libzstd);
        assert!(end.is_err() && by_libzstd == text);

        let mut by_reader = Vec::new();
        let end = StreamingDecoder::new(flushed).unwrap().read_to_end(&mut by_reader);
        assert!(end.is_err());

        let (mut by_blocks, mut source, mut decoder) = (Vec::new(), flushed, FrameDecoder::new());
        decoder.init(&mut source).unwrap();
        while decoder.decode_blocks(&mut source, BlockDecodingStrategy::UptoBlocks(1)).is_ok() {
            by_blocks.extend(decoder.collect().unwrap_or_default());
        }
        by_blocks.extend(decoder.collect().unwrap_or_default());
        println!("{} {} {} {}", text.len(), by_libzstd.len(), by_reader.len(), by_blocks.len());
    }
}
R
CARGO_TARGET_DIR=$work/target cargo run --quiet --manifest-path "$work/Cargo.toml" >"$work/seen"
echo "ruzstd 0.8.1, zstd 0.13.3 (libzstd 1.5)"
printf '%-10s %-10s %-14s %s\n' written libzstd 'ruzstd, reader' 'ruzstd, blocks'
while read -r row; do
    # shellcheck disable=SC2086
    printf '%-10s %-10s %-14s %s\n' $row
done <"$work/seen"
cmp "$work/seen" - <<'T' || { echo CHANGED >&2; exit 1; }
160000 160000 0 0
1600000 1600000 1048576 1075712
T
