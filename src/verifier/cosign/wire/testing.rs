//! Documents with one thing changed.

use serde_json::Value;

/// The JSON pointers of all members of all objects of a document.
pub(in super::super) fn members(document: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    found.push(at.clone());
                    walk(value, &at, found);
                }
            }
            Value::Array(array) => {
                for (index, value) in array.iter().enumerate() {
                    walk(value, &format!("{at}/{index}"), found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    walk(document, "", &mut found);
    found
}

fn parent<'a>(document: &'a mut Value, pointer: &str) -> (&'a mut serde_json::Map<String, Value>, String) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let object = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    (object, name.replace("~1", "/").replace("~0", "~"))
}

/// Without the member.
pub(in super::super) fn without(document: &Value, pointer: &str) -> Vec<u8> {
    let mut document = document.clone();
    let (object, name) = parent(&mut document, pointer);
    object.remove(&name).unwrap();
    document.to_string().into_bytes()
}

/// With another value.
pub(in super::super) fn with(document: &Value, pointer: &str, value: Value) -> Vec<u8> {
    let mut document = document.clone();
    let (object, name) = parent(&mut document, pointer);
    object.insert(name, value);
    document.to_string().into_bytes()
}

/// With the member under another name.
pub(in super::super) fn renamed(document: &Value, pointer: &str, to: &str) -> Vec<u8> {
    let mut document = document.clone();
    let (object, name) = parent(&mut document, pointer);
    let value = object.remove(&name).unwrap();
    object.insert(to.to_owned(), value);
    document.to_string().into_bytes()
}

/// With the member standing twice, the second time as `second`.
pub(in super::super) fn twice(document: &Value, pointer: &str, second: &str) -> Vec<u8> {
    const MARK: &str = "\u{1}second";
    let mut document = document.clone();
    let (object, name) = parent(&mut document, pointer);
    let value = object.get(&name).unwrap().clone();
    object.insert(MARK.to_owned(), value);
    let mark = serde_json::to_string(MARK).unwrap();
    document.to_string().replace(&mark, &serde_json::to_string(second).unwrap()).into_bytes()
}

/// The member's name.
pub(in super::super) fn name(pointer: &str) -> &str {
    pointer.rsplit_once('/').unwrap().1
}

/// `lowerCamelCase` as `lower_camel_case`.
pub(in super::super) fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, c| {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        snake
    })
}
