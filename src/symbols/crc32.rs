//! The checksum that ties an image to its separate debug file.

/// Eight tables, so that eight bytes go in one step: debug files have hundreds of megabytes.
const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (0xedb8_8320 & (value & 1).wrapping_neg());
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let previous = tables[table - 1][byte];
            tables[table][byte] = (previous >> 8) ^ tables[0][(previous & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// The CRC-32 (IEEE 802.3) of `data`, as `.gnu_debuglink` holds it.
pub(super) fn crc32(data: &[u8]) -> u32 {
    let entry = |table: usize, byte: u32| TABLES[table][(byte & 0xff) as usize];
    let (blocks, rest) = data.as_chunks::<8>();
    let mut crc = !0;
    for &[a, b, c, d, e, f, g, h] in blocks {
        let low = crc ^ u32::from_le_bytes([a, b, c, d]);
        crc = entry(7, low)
            ^ entry(6, low >> 8)
            ^ entry(5, low >> 16)
            ^ entry(4, low >> 24)
            ^ entry(3, e.into())
            ^ entry(2, f.into())
            ^ entry(1, g.into())
            ^ entry(0, h.into());
    }
    for &byte in rest {
        crc = (crc >> 8) ^ entry(0, crc ^ u32::from(byte));
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_published_values() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let sentence = b"The quick brown fox jumps over the lazy dog";
        assert_eq!(crc32(sentence), 0x414f_a339);
    }
}
