//! Names of files as addresses in a page, and back.

/// A path as an address: signs that mean something else there are written by their numbers.
pub fn encoded(path: &str) -> String {
    let mut address = String::new();
    for sign in path.chars() {
        match sign {
            ' ' | '?' | '#' | '%' | '"' | '<' | '>' => {
                address.push_str(&format!("%{:02X}", u32::from(sign)));
            }
            _ => address.push(sign),
        }
    }
    address
}

/// An address with `%20` and its like as the signs that they stand for.
pub fn decoded(address: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = address.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .filter(|code| first == b'%' && code.iter().all(u8::is_ascii_hexdigit))
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for name in [
            "a/b.png",
            "What is it?.md",
            "100 % é.svg",
            "a#b",
            "a%20b",
            "%",
        ] {
            assert_eq!(decoded(&encoded(name)), name);
        }
        assert_eq!(encoded("a b?.html"), "a%20b%3F.html");
        assert_eq!(decoded("%C3%A9%2"), "é%2");
        assert_eq!(decoded("%+1"), "%+1");
    }
}
