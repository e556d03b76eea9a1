//! Numbers and tables as people read them in a terminal.

/// A number of bytes in the unit that suits it, decimal as disks and the hub count: `699 bytes`, `143.0 MB`.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::text::bytes;
///
/// assert_eq!([699, 143_106_097].map(bytes), ["699 bytes", "143.1 MB"]);
/// ```
pub fn bytes(count: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    let mut value = count as f64 / 1e3;
    let mut unit = 0;
    if count < 1000 {
        return format!("{count} bytes");
    }
    // 999.95 would be written as 1000.0.
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1e3;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// A count with a comma before every third digit.
///
/// # Example: the parameters of the published DDPM for CIFAR-10
/// ```
/// # use itd_cell as itd_prelude;
/// assert_eq!(itd_prelude::text::thousands(35_746_307), "35,746,307");
/// ```
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with at most six digits that count, and no zeros at its end.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::text::number;
///
/// assert_eq!([0.1 + 0.2, -12.0, 2.0 / 3.0, 6.02214e23].map(number), ["0.3", "-12", "0.666667", "6.02214e23"]);
/// ```
pub fn number(value: f64) -> String {
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size.is_nan() || size.is_infinite() => value.to_string(),
        1e-4..1e6 => {
            let digits = (5.0 - value.abs().log10().floor()).clamp(0.0, 9.0) as usize;
            trimmed(&format!("{value:.digits$}"))
        }
        _ => {
            let text = format!("{value:.5e}");
            let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e{power}", trimmed(mantissa))
        }
    }
}

/// Which side of its column a cell stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows in aligned columns, two blanks apart, without blanks at the ends of lines.
///
/// A row shorter than `sides` leaves its last columns empty; what is beyond them is not shown.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::text::{Side, table};
///
/// let rows = [["name", "size"], ["config.json", "699"]].map(|row| row.map(String::from).to_vec());
/// assert_eq!(table(&rows, &[Side::Left, Side::Right]), "name         size\nconfig.json   699\n");
/// ```
pub fn table(rows: &[Vec<String>], sides: &[Side]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..sides.len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for ((cell, side), width) in row.iter().zip(sides).zip(&widths) {
            let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
            match side {
                Side::Left => line.extend([cell, &blanks, "  "]),
                Side::Right => line.extend([&blanks, cell, "  "]),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_the_unit_that_suits_them() {
        let sizes = [
            0,
            999,
            1000,
            999_949,
            999_950,
            210_185_752,
            1_250_000_000_000_000,
        ];
        let read = sizes.map(bytes);
        let right = [
            "0 bytes",
            "999 bytes",
            "1.0 kB",
            "999.9 kB",
            "1.0 MB",
            "210.2 MB",
            "1250.0 TB",
        ];
        assert_eq!(read, right);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(thousands),
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn columns_are_aligned_by_letters_not_bytes() {
        let rows = [
            vec!["ε̂".to_owned(), "1".to_owned()],
            vec!["abc".to_owned()],
            vec![],
        ];
        assert_eq!(table(&rows, &[Side::Left, Side::Right]), "ε̂   1\nabc\n\n");
        assert_eq!(table(&[], &[Side::Left]), "");
    }
}
