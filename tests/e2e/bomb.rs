//! A small gzip stream that unpacks to much.

use flate2::{Compress, Compression, Crc, FlushCompress};

use super::MIB;

/// A whole and valid gzip stream of `start`, `mib` MiB of blanks, and `end`.
///
/// One MiB is packed once and its packed form is repeated: each piece ends with a full flush, so that none refers to
/// what stands before it. To pack all of it would take longer than all else that a table tries.
pub(crate) fn gzip(start: &str, mib: usize, end: &str) -> Vec<u8> {
    let blanks = vec![b' '; MIB];
    let mut packer = Compress::new(Compression::best(), false);
    // A header without name or time, from no system in particular.
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    stream.extend(pack(&mut packer, start.as_bytes(), FlushCompress::Full));
    let piece = pack(&mut packer, &blanks, FlushCompress::Full);
    stream.extend(piece.repeat(mib));
    stream.extend(pack(&mut packer, end.as_bytes(), FlushCompress::Finish));

    let of = |bytes: &[u8]| {
        let mut sum = Crc::new();
        sum.update(bytes);
        sum
    };
    let (mut whole, one) = (of(start.as_bytes()), of(&blanks));
    for _ in 0..mib {
        whole.combine(&one);
    }
    whole.combine(&of(end.as_bytes()));
    stream.extend(whole.sum().to_le_bytes());
    stream.extend(whole.amount().to_le_bytes());
    stream
}

fn pack(packer: &mut Compress, plain: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut packed = Vec::with_capacity(64 * 1024);
    let before = packer.total_in();
    packer.compress_vec(plain, &mut packed, flush).unwrap();
    assert_eq!(packer.total_in() - before, plain.len() as u64, "a piece fits its buffer");
    packed
}

#[test]
fn a_bomb_is_whole() {
    let packed = gzip("<", 3, ">");
    assert!(packed.len() < 16 * 1024, "{} bytes", packed.len());
    let mut plain = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain).unwrap();
    assert_eq!(plain, format!("<{}>", " ".repeat(3 * MIB)));
}
