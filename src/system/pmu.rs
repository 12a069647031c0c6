//! What measures: the PMUs of `/sys/bus/event_source/devices`.

use std::collections::BTreeMap;
use std::path::Path;

use super::cpus::parse_list;

/// A PMU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pmu {
    /// Name of its directory, such as `cpu` or `arm_spe_0`.
    pub name: String,
    /// What goes into an attribute's `type`.
    pub kind: u32,
    /// Its fields, by name.
    pub format: BTreeMap<String, Field>,
    /// Its named events: terms such as `event=0xcd,umask=0x1,ldlat=3`.
    pub events: BTreeMap<String, String>,
    /// Its capabilities.
    pub caps: BTreeMap<String, String>,
    /// The CPUs that it is on; `None` where it does not say, which means all.
    pub cpus: Option<Vec<u32>>,
}

/// One of an attribute's words for settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// `config`.
    Config,
    /// `config1`.
    Config1,
    /// `config2`.
    Config2,
    /// `config3`.
    Config3,
}

/// Bits of a word, from the lowest to the highest, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitRange {
    /// Lowest.
    pub low: u8,
    /// Highest, at most 63.
    pub high: u8,
}

/// Where a value goes: the bits of a word, the lowest part first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Which word.
    pub word: Word,
    /// Which bits.
    pub bits: Vec<BitRange>,
}

impl Field {
    /// Reads the text of a file in `format/`, such as `config1:0-15` or `config:0-7,32-35`.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, bits) = text.trim().split_once(':')?;
        let word = match word {
            "config" => Word::Config,
            "config1" => Word::Config1,
            "config2" => Word::Config2,
            "config3" => Word::Config3,
            _ => return None,
        };
        let range = |part: &str| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let (low, high): (u8, u8) = (low.parse().ok()?, high.parse().ok()?);
            (low <= high && high < 64).then_some(BitRange { low, high })
        };
        Some(Self { word, bits: bits.split(',').map(range).collect::<Option<_>>()? })
    }

    /// The word with a value in this field; `None` when the field is too narrow for it.
    pub fn place(&self, value: u64) -> Option<u64> {
        let mut rest = value;
        let mut word = 0;
        for BitRange { low, high } in &self.bits {
            let width = high - low + 1;
            let part = if width == 64 { rest } else { rest & ((1 << width) - 1) };
            word |= part << low;
            rest = rest.checked_shr(u32::from(width)).unwrap_or(0);
        }
        (rest == 0).then_some(word)
    }
}

impl Pmu {
    /// Reads all PMUs below `root`, by name.
    pub fn read_all(root: &Path) -> Vec<Self> {
        let folder = root.join("sys/bus/event_source/devices");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut pmus: Vec<Self> = entries
            .filter_map(|entry| Self::read(&entry.path(), entry.file_name().to_str()?))
            .collect();
        pmus.sort_by(|a, b| a.name.cmp(&b.name));
        pmus
    }

    fn read(folder: &Path, name: &str) -> Option<Self> {
        let line = |file: &str| {
            let text = std::fs::read_to_string(folder.join(file)).ok()?;
            Some(text.trim().to_owned())
        };
        // Events may come with files such as `NAME.scale`, which are none.
        let events = texts_in(&folder.join("events"));
        Some(Self {
            name: name.to_owned(),
            kind: line("type")?.parse().ok()?,
            format: texts_in(&folder.join("format"))
                .into_iter()
                .filter_map(|(name, text)| Some((name, Field::parse(&text)?)))
                .collect(),
            events: events.into_iter().filter(|(name, _)| !name.contains('.')).collect(),
            caps: texts_in(&folder.join("caps")),
            cpus: ["cpus", "cpumask"].into_iter().find_map(|file| parse_list(&line(file)?)),
        })
    }
}

fn texts_in(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let text = std::fs::read_to_string(entry.path()).ok()?;
            Some((entry.file_name().to_str()?.to_owned(), text.trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_hold_values() {
        let field = Field::parse("config1:0-15\n").unwrap();
        assert_eq!((field.word, field.place(30)), (Word::Config1, Some(30)));
        assert_eq!(field.place(0x1_0000), None);
        let split = Field::parse("config:0-7,32-35").unwrap();
        assert_eq!(split.place(0xabc), Some(0xa_0000_00bc));
        assert_eq!(Field::parse("config:63").unwrap().place(1), Some(1 << 63));
        assert_eq!(Field::parse("config:0-63").unwrap().place(u64::MAX), Some(u64::MAX));
        for wrong in ["config:0-64", "config4:0", "config:", "config", "config:5-3"] {
            assert_eq!(Field::parse(wrong), None, "{wrong}");
        }
    }
}
