//! Objects of JSON in which no name stands twice: nobody can tell which of the two was meant, and one would be passed over.

use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Reads an object.
///
/// # Errors
/// Those of the format, and where a name of the object stands twice in it. Objects within it keep the last of two.
pub fn distinct<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    struct Names;

    impl<'de> Visitor<'de> for Names {
        type Value = Map<String, Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = Map::new();
            while let Some(name) = access.next_key::<String>()? {
                if map.contains_key(&name) {
                    return Err(A::Error::custom(format!("the field `{name}` is there twice; give it once")));
                }
                map.insert(name, access.next_value()?);
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Names)
}
