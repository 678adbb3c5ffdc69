//! Watches: who is told what happens.

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Call, answer::failure, kinds::Kind, selector::Selector, world::Event};

/// What goes down an open watch.
#[derive(Debug, Clone)]
pub(super) enum Frame {
    /// The server ends it, in order.
    End,
    /// An event.
    Event(Value),
    /// Half an event, and then nothing.
    Half(Value),
    /// The connection is reset.
    Reset,
}

/// What happens to open watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// A bookmark, to those who want them.
    Bookmark,
    /// The server ends it, as after its time-out.
    End,
    /// An `ERROR` event of `410 Gone`, and the end.
    Gone,
    /// Half an event, and then the connection closes.
    Half,
    /// The connection is reset.
    Reset,
}

/// An open watch.
#[derive(Debug)]
pub(super) struct Watch {
    kind: Kind,
    selector: Selector,
    bookmarks: bool,
    metadata_only: bool,
    sender: UnboundedSender<Frame>,
}

impl Watch {
    /// Opens a watch; what it is told goes to the receiver.
    pub(super) fn open(call: &Call, kind: &Kind) -> (Self, UnboundedReceiver<Frame>) {
        let (sender, receiver) = unbounded_channel();
        let watch = Self {
            kind: Kind { version: call.version.clone(), ..kind.clone() },
            selector: Selector::of(call),
            bookmarks: call.says("allowWatchBookmarks"),
            metadata_only: call.metadata_only,
            sender,
        };
        (watch, receiver)
    }

    /// Tells of a change, if it is about what is watched.
    pub(super) fn tell(&self, event: &Event) {
        if event.key.plural == self.kind.plural && self.selector.picks(&event.object) {
            self.send(self.event(event.change, &event.object));
        }
    }

    /// Tells of an object that was there before.
    pub(super) fn show(&self, object: &Value) {
        if self.selector.picks(object) {
            self.send(self.event("ADDED", object));
        }
    }

    /// A bookmark. `initial`: that everything that was there has been shown.
    pub(super) fn bookmark(&self, version: u64, initial: bool) {
        let mut object = json!({
            "kind": self.kind.kind,
            "apiVersion": self.kind.api_version(),
            "metadata": { "resourceVersion": version.to_string() },
        });
        if initial {
            object["metadata"]["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        if initial || self.bookmarks {
            self.send(Frame::Event(json!({ "type": "BOOKMARK", "object": object })));
        }
    }

    /// `410 Gone`, and the end.
    pub(super) fn gone(&self) {
        let status = failure(410, "Expired", "too old resource version");
        self.send(Frame::Event(json!({ "type": "ERROR", "object": status })));
        self.send(Frame::End);
    }

    pub(super) fn interrupt(&self, how: Interruption, version: u64) {
        match how {
            Interruption::Bookmark => self.bookmark(version, false),
            Interruption::End => self.send(Frame::End),
            Interruption::Gone => self.gone(),
            Interruption::Half => self.send(Frame::Half(json!({ "type": "ADDED", "object": { "metadata": {} } }))),
            Interruption::Reset => self.send(Frame::Reset),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    fn event(&self, change: &str, object: &Value) -> Frame {
        Frame::Event(json!({ "type": change, "object": self.kind.shown(object, self.metadata_only) }))
    }

    fn send(&self, frame: Frame) {
        // Nobody listens any more: it is swept at the next change.
        let _ = self.sender.send(frame);
    }
}
