//! Numbers as people read them.

/// A share of 0 to 1, in percent.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        small if small < 0.95 => format!("{small:.2} %"),
        percent => format!("{percent:.1} %"),
    }
}

/// So many of something.
pub fn counted(count: u64, word: &str) -> String {
    format!("{} {word}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(grouped(12), "12");
        assert_eq!(counted(1, "sample"), "1 sample");
        assert_eq!(counted(2_000, "sample"), "2 000 samples");
        assert_eq!(percent(0.0042), "0.42 %");
        assert_eq!(percent(0.5), "50.0 %");
    }
}
