//! Sealed values that are longer than a browser keeps in one cookie.
//!
//! ```text
//! name   = el1~<generation>~<count>~<beginning of the value>
//! name~1 = el1~<generation>~<count>~<more of it>
//! ```
//!
//! The generation is that of the value (the beginning of its nonce): pieces of two values, or of
//! two cookies of one name at different paths, are never put together.

use super::limits;

const PREFIX: &str = "el1~";
const GENERATION: usize = 8;

/// Whether a cookie value claims to be a piece, right or wrong.
#[must_use]
pub fn is_claimed_by(value: &str) -> bool {
    value.starts_with(PREFIX)
}

/// The cookie of the piece at `position`.
#[must_use]
pub fn name(name: &str, position: usize) -> String {
    match position {
        0 => name.to_owned(),
        _ => format!("{name}~{position}"),
    }
}

/// Whether a cookie of that name holds no first piece.
#[must_use]
pub fn is_later(name: &str) -> bool {
    let (_, position) = name.rsplit_once('~').unwrap_or_default();
    let is_it = |later: &usize| (1..limits::COOKIE_PIECES).contains(later);
    let later = position.parse().ok().filter(is_it);
    // As we write it.
    later.is_some_and(|later| later.to_string() == position)
}

/// The cookies, names and values, that hold `sealed` under `name`: one if it fits; `None` if it
/// would take too many.
#[must_use]
pub fn cut(cookie: &str, sealed: String) -> Option<Vec<(String, String)>> {
    if cookie.len().saturating_add(sealed.len()) <= limits::COOKIE_BYTES {
        return Some(vec![(cookie.to_owned(), sealed)]);
    }
    let (_, body) = sealed.rsplit_once('.')?;
    let generation = body.get(..GENERATION)?;
    // Room beside the longest name and what stands before each part.
    let taken = [cookie.len(), PREFIX.len(), GENERATION, "~1~4~".len()];
    let taken = taken.into_iter().fold(0, usize::saturating_add);
    let room = limits::COOKIE_BYTES.checked_sub(taken)?;
    let parts: Vec<&[u8]> = sealed.as_bytes().chunks(room.max(1)).collect();
    let count = parts.len();
    if count > limits::COOKIE_PIECES {
        return None;
    }
    parts
        .into_iter()
        .enumerate()
        .map(|(position, part)| {
            let part = str::from_utf8(part).ok()?;
            let value = format!("{PREFIX}{generation}~{count}~{part}");
            Some((name(cookie, position), value))
        })
        .collect()
}

/// Puts the value together whose first piece is `first`, in the cookie `cookie`, from the other
/// `cookies` of the request; gives it and the number of its pieces. `None` if one is missing.
#[must_use]
pub fn join(cookie: &str, first: &str, cookies: &[(&str, &str)]) -> Option<(String, usize)> {
    let first = Piece::parse(first)?;
    let mut value = first.part.to_owned();
    for position in 1..first.count {
        let name = name(cookie, position);
        let next = cookies
            .iter()
            .filter(|(other, _)| *other == name)
            .filter_map(|(_, value)| Piece::parse(value))
            .find(|piece| (piece.generation, piece.count) == (first.generation, first.count))?;
        value.push_str(next.part);
    }
    Some((value, first.count))
}

struct Piece<'a> {
    generation: &'a str,
    count: usize,
    part: &'a str,
}

impl<'a> Piece<'a> {
    fn parse(value: &'a str) -> Option<Self> {
        let mut fields = value.strip_prefix(PREFIX)?.splitn(3, '~');
        let (generation, count) = (fields.next()?, fields.next()?.parse().ok()?);
        let is_right = (2..=limits::COOKIE_PIECES).contains(&count);
        is_right.then_some(Self {
            generation,
            count,
            part: fields.next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(length: usize) -> String {
        format!("el1.k1.ABCDEFGH{}", "x".repeat(length))
    }

    fn borrowed(cookies: &[(String, String)]) -> Vec<(&str, &str)> {
        cookies
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect()
    }

    #[test]
    fn later_pieces_are_named_as_we_name_them() {
        for position in 1..limits::COOKIE_PIECES {
            assert!(is_later(&name("sid", position)));
        }
        let beyond = name("sid", limits::COOKIE_PIECES);
        for other in [
            "sid", "sid~", "sid~0", "sid~01", "sid~+1", "sid~1x", "1", "", &beyond,
        ] {
            assert!(!is_later(other), "{other}");
        }
    }

    #[test]
    fn what_fits_is_left_whole() {
        let whole = sealed(limits::COOKIE_BYTES - "sid".len() - sealed(0).len());
        assert_eq!(cut("sid", whole.clone()), Some(vec![("sid".into(), whole)]));
    }

    #[test]
    fn what_does_not_fit_is_cut_and_put_together_again() {
        for length in [4096, 5000, 12_000] {
            let whole = sealed(length);
            let cookies = cut("sid", whole.clone()).unwrap();
            for (name, value) in &cookies {
                assert!(name.len() + value.len() <= limits::COOKIE_BYTES);
                assert!(is_claimed_by(value));
            }
            let mut shuffled = borrowed(&cookies);
            shuffled.reverse();
            assert_eq!(
                join("sid", &cookies[0].1, &shuffled),
                Some((whole, cookies.len()))
            );
            assert_eq!(join("sid", &cookies[0].1, &shuffled[1..]), None);
        }
        assert_eq!(cut("sid", sealed(17_000)), None);
        assert_eq!(cut(&"n".repeat(4096), sealed(1)), None);
    }

    #[test]
    fn pieces_of_two_values_are_never_mixed() {
        let old = cut("sid", sealed(9000)).unwrap();
        let new = cut("sid", sealed(5000).replace("ABC", "XYZ")).unwrap();
        // The new value is shorter: a piece of the old one is still there.
        let mixed: Vec<_> = [borrowed(&new), borrowed(&old)[1..].to_vec()].concat();
        let (joined, count) = join("sid", &new[0].1, &mixed).unwrap();
        assert_eq!((joined.len(), count), (sealed(5000).len(), 2));
        assert_eq!(join("sid", &new[0].1, &borrowed(&old)), None);
    }

    #[test]
    fn what_is_no_piece_is_not_taken_for_one() {
        for value in [
            "",
            "el1~",
            "el1~g",
            "el1~g~2",
            "el1~g~1~x",
            "el1~g~5~x",
            "el1~g~-2~x",
            "el1.g~2~x",
        ] {
            assert!(Piece::parse(value).is_none(), "{value}");
        }
    }
}
