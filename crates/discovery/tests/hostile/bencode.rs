//! Bencode (BEP3), as much as a DHT message needs.

use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Item>),
    Dict(BTreeMap<Vec<u8>, Item>),
}

/// A dictionary of these fields.
pub fn dict<'a>(fields: impl IntoIterator<Item = (&'a str, Item)>) -> Item {
    let fields = fields.into_iter();
    Item::Dict(fields.map(|(k, v)| (k.as_bytes().to_vec(), v)).collect())
}

pub fn bytes(of: impl AsRef<[u8]>) -> Item {
    Item::Bytes(of.as_ref().to_vec())
}

impl Item {
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dict(fields) => fields.get(key.as_bytes()),
            _ => None,
        }
    }

    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            _ => None,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(int) => out.extend(format!("i{int}e").bytes()),
            Self::Bytes(bytes) => {
                out.extend(format!("{}:", bytes.len()).bytes());
                out.extend(bytes);
            }
            Self::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.write(out));
                out.push(b'e');
            }
            Self::Dict(fields) => {
                out.push(b'd');
                for (key, value) in fields {
                    bytes(key).write(out);
                    value.write(out);
                }
                out.push(b'e');
            }
        }
    }

    /// The item that these bytes are; `None` if they are none.
    pub fn decode(mut from: &[u8]) -> Option<Self> {
        let item = read(&mut from)?;
        from.is_empty().then_some(item)
    }
}

fn read(from: &mut &[u8]) -> Option<Item> {
    match *from.first()? {
        b'i' => {
            *from = &from[1..];
            Some(Item::Int(number(from, b'e')?))
        }
        b'l' => {
            *from = &from[1..];
            let mut items = Vec::new();
            while *from.first()? != b'e' {
                items.push(read(from)?);
            }
            *from = &from[1..];
            Some(Item::List(items))
        }
        b'd' => {
            *from = &from[1..];
            let mut fields = BTreeMap::new();
            while *from.first()? != b'e' {
                let Item::Bytes(key) = read(from)? else {
                    return None;
                };
                fields.insert(key, read(from)?);
            }
            *from = &from[1..];
            Some(Item::Dict(fields))
        }
        _ => {
            let len = usize::try_from(number(from, b':')?).ok()?;
            let (head, tail) = from.split_at_checked(len)?;
            *from = tail;
            Some(bytes(head))
        }
    }
}

fn number(from: &mut &[u8], end: u8) -> Option<i64> {
    let len = from.iter().position(|byte| *byte == end)?;
    let digits = std::str::from_utf8(&from[..len]).ok()?.parse().ok()?;
    *from = &from[len + 1..];
    Some(digits)
}
