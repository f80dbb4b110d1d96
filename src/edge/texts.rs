//! Texts out of JavaScript.

use std::cell::RefCell;

use js_sys::JsString;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(raw_module = "./texts.js")]
extern "C" {
    fn write(text: &JsString, memory: &mut [u8]) -> Option<usize>;
}

thread_local! {
    /// Room for all but very long ones.
    static ROOM: RefCell<[u8; 8192]> = const { RefCell::new([0; 8192]) };
}

/// A text that may be long: bindgen's own copying looks at each character, and takes as long as all that is
/// done with the text.
pub(super) fn text(of: &JsString) -> String {
    let in_room = ROOM.with_borrow_mut(|room| {
        let written = write(of, room)?;
        str::from_utf8(room.get(..written)?).ok().map(str::to_owned)
    });
    in_room
        .or_else(|| long_ascii(of))
        .unwrap_or_else(|| of.into())
}

fn long_ascii(of: &JsString) -> Option<String> {
    let mut bytes = vec![0; usize::try_from(of.length()).ok()?];
    let written = write(of, &mut bytes)?;
    bytes.truncate(written);
    String::from_utf8(bytes).ok()
}
