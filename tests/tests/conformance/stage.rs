//! One world for one case, and everything about it that anybody could notice, as text.

use everwake_protocol::client::Pose;
use everwake_runtime::game::admin::{AdminAnswer, AdminRequest};
use everwake_testkit::{Certainty, Component, EntityId, Kit, Outcome, Player, Request, Value, World};
use std::collections::BTreeMap;
use std::time::Duration;

/// How an act ended, and what the world looks like after it.
pub(crate) struct Run {
    /// How the request ended: `ok ..`, `not-run trapped`, or nothing yet.
    pub(crate) answer: String,
    /// Everything else.
    pub(crate) view: String,
    /// The part of it that the module itself, or its client, could notice before anybody looked.
    pub(crate) noticed: String,
    /// What the module logged.
    pub(crate) log: Vec<String>,
    /// What its crashes said.
    pub(crate) crashes: Vec<String>,
}

/// Who acts, and who looks on.
pub(crate) struct Stage {
    pub(crate) world: World,
    actor: Player,
    observer: Player,
}

/// Of what operators see, this may differ: it says which code ran and how often, not what the world is like.
const OF_THE_MACHINE: [&str; 4] = ["version", "events", "ticks_paused_ms", "round_trip_ms"];

impl Stage {
    /// Two clients in a hall, with promises, timers and watches from before.
    pub(crate) fn set(kit: &Kit, component: &Component) -> Self {
        let mut world = World::new(kit).seed(11).module(component).start();
        let actor = world.connect("probe");
        world.advance(Duration::from_millis(100));
        let observer = world.connect("probe");
        world.advance(Duration::from_millis(100));
        let prepared = world.call(actor, "prepare", &[]);
        assert!(prepared.is_ok(), "the stage is not set: {prepared:?}; {:?}", world.take_crashes());
        world.advance(Duration::from_millis(300));
        assert_eq!(world.attribute(observer, "name"), "guest 2".into());
        for player in [actor, observer] {
            world.take_calls(player);
        }
        world.take_log();
        Self { world, actor, observer }
    }

    /// The actor does something, and two seconds pass.
    pub(crate) fn act(&mut self, method: &str, args: &[Value]) -> Request {
        let request = self.world.request(self.actor, method, args);
        self.world.advance(Duration::from_secs(2));
        request
    }

    /// Somebody else's effect, which a comparison has to find.
    pub(crate) fn plant(&mut self, on: &str, note: &str) {
        let entity = self.named(on);
        let (who, args) = ("a test".to_owned(), serde_json::json!([note]));
        let request = AdminRequest::Call { who, entity, method: "poke".into(), args };
        let answer = self.world.ask(request);
        assert!(matches!(answer, AdminAnswer::Value(_)), "{answer:?}");
    }

    fn named(&mut self, name: &str) -> EntityId {
        let views = self.world.inspect_all();
        let is_it = |view: &&serde_json::Value| {
            let is = view.pointer("/attributes/name").and_then(serde_json::Value::as_str);
            is.is_some_and(|is| is.trim_matches('"') == name)
        };
        let found = views.iter().find(is_it).and_then(|view| view.get("id")?.as_str()?.parse().ok());
        found.unwrap_or_else(|| panic!("nobody is called {name}: {views:#?}"))
    }

    /// Looks, then makes everything show itself that shows only when somebody asks, and looks again.
    pub(crate) fn finish(mut self, request: Request) -> Run {
        let noticed = self.notice();
        let mut view = self.look();
        if self.world.closed(self.actor).is_none() && self.world.client(self.actor).own().is_some() {
            let to = Pose { x: 15.0, y: 0.0, z: 15.0, yaw: 0.0 };
            self.world.move_to(self.actor, to);
        }
        let looked = self.world.call(self.observer, "look", &[]);
        assert!(looked.is_ok(), "the observer cannot look: {looked:?}");
        self.world.advance(Duration::from_secs(1));
        view.push_str("\n== after a look\n");
        view.push_str(&self.look());
        self.world.check();
        let log = self.world.take_log().into_iter().map(|line| line.message).collect();
        let crashes = self.world.take_crashes().into_iter().map(|crash| crash.message).collect();
        let answer = answer(self.world.outcome(self.actor, request));
        Run { answer, view: named_anew(&view), noticed, log, crashes }
    }

    /// As `probe::mocked` writes it of a mock world.
    fn notice(&mut self) -> String {
        let views = self.world.inspect_all();
        let by_name = |name: &str| views.iter().find(|view| attribute(view, "name") == format!("{name:?}"));
        // Operators see who is in a space, its members see what it has.
        let hall = self.world.seen(self.observer, "Hall").first().unwrap().id;
        let members = views.iter().find(|view| view["id"] == hall.to_string().as_str());
        let members = members.and_then(|view| view["members"].as_array()).cloned().unwrap_or_default();
        let in_hall = |id: &str| members.iter().any(|member| member["id"] == id);
        let mut text = String::new();
        for name in ["guest 1", "guest 2", "friend", "victim"] {
            let Some(view) = by_name(name) else {
                text.push_str(&format!("{name} is gone\n"));
                continue;
            };
            let of = |name| attribute(view, name);
            let (here, client) = (in_hall(view["id"].as_str().unwrap()), !view["client"].is_null());
            let place =
                |part: usize| view["pose"].get(part).and_then(serde_json::Value::as_f64).unwrap_or_default();
            text.push_str(&format!("{name} {} {} {}", of("value"), of("notes"), of("table")));
            text.push_str(&format!(" at {} {} here {here} client {client}\n", place(0), place(2)));
        }
        let Value::Int(hall_value) = self.world.attribute_of(self.observer, hall, "value") else { panic!() };
        let desk = views.iter().find(|view| view["type"] == "Desk").unwrap();
        text.push_str(&format!("desk {}\nhall {}\n", attribute(desk, "notes"), hall_value));
        let own = |player: Player| (self.world.client(player).own().map(|own| own.id), player);
        let clients = [own(self.actor), own(self.observer)];
        for name in ["guest 1", "guest 2", "friend"] {
            let id: Option<EntityId> = by_name(name).and_then(|view| view["id"].as_str()?.parse().ok());
            let player =
                clients.iter().find(|(own, _)| own.is_some() && *own == id).map(|(_, player)| *player);
            let calls = player.map(|player| self.world.calls(player).to_vec()).unwrap_or_default();
            let heard: Vec<String> = calls
                .iter()
                .map(|call| match call.args.as_slice() {
                    [Value::Text(word)] => format!("{}({word:?},)", call.method),
                    other => panic!("{other:?}"),
                })
                .collect();
            text.push_str(&format!("{name} heard {heard:?}\n"));
        }
        text
    }

    fn look(&mut self) -> String {
        let mut text = String::new();
        for mut view in self.world.inspect_all() {
            clean(&mut view);
            text.push_str(&serde_json::to_string_pretty(&view).unwrap());
            text.push('\n');
        }
        for (name, player) in [("actor", self.actor), ("observer", self.observer)] {
            text.push_str(&format!("-- client of the {name}\n"));
            if let Some(closed) = self.world.closed(player) {
                text.push_str(&format!("closed: {closed:?}\n"));
            }
            text.push_str(&mirrors(&self.world, player));
            for call in self.world.take_calls(player) {
                text.push_str(&format!("called {} on {}: {:?}\n", call.method, call.entity, call.args));
            }
        }
        text
    }
}

/// Runs one act in a world of its own.
pub(crate) fn run(kit: &Kit, component: &Component, what: &str, end: &str) -> Run {
    let mut stage = Stage::set(kit, component);
    let request = stage.act("probe", &[what.into(), end.into()]);
    stage.finish(request)
}

/// Lets a tick move, and end as it is told to.
pub(crate) fn run_tick(kit: &Kit, component: &Component, end: &str) -> Run {
    let mut stage = Stage::set(kit, component);
    let request = stage.act("arm", &[end.into()]);
    stage.finish(request)
}

fn mirrors(world: &World, player: Player) -> String {
    let client = world.client(player);
    let mut lines = Vec::new();
    for entity in client.entities() {
        let attributes: BTreeMap<String, String> = client
            .attributes(entity.id)
            .into_iter()
            .filter(|(name, ..)| name != "end")
            .map(|(name, _, value)| (name, format!("{:?}", Value::decode(&value))))
            .collect();
        let name = attributes.get("name").cloned().unwrap_or_default();
        let (own, pose, motion) = (entity.own, entity.pose, &entity.motion);
        let line = format!(
            "{} {name} {} own {own} at {pose:?} {motion:?} {attributes:?}\n",
            entity.type_name, entity.id
        );
        lines.push(line);
    }
    lines.sort();
    lines.concat()
}

fn attribute(view: &serde_json::Value, name: &str) -> String {
    let text = view.get("attributes").and_then(|all| all.get(name)?.as_str());
    text.unwrap_or_default().to_owned()
}

/// Without what may differ. `end` is how a test tells a runner what to do.
fn clean(view: &mut serde_json::Value) {
    if let Some(view) = view.as_object_mut() {
        view.retain(|key, _| !OF_THE_MACHINE.contains(&key.as_str()) && key != "end");
        view.values_mut().for_each(clean);
    }
}

pub(crate) fn answer(outcome: Option<Outcome>) -> String {
    match outcome {
        None => "none".into(),
        Some(Outcome::Ok(value)) => format!("ok {:?}", Value::decode(&value).unwrap()),
        Some(Outcome::Err { certainty, code, detail }) => {
            let certainty = match certainty {
                Certainty::NotRun => "not-run",
                Certainty::Unknown => "unknown",
                Certainty::Refused => "refused",
            };
            format!("{certainty} {code} {:?}", Value::decode(&detail).unwrap())
        }
    }
}

/// Gives each id the number of its first appearance: which ids there are is chance, who is who is not.
fn named_anew(text: &str) -> String {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let (before, word) = rest.split_at(start);
        let end = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        out.push_str(before);
        let is_id = matches!(word.len(), 26 | 32) && word.bytes().any(|byte| byte.is_ascii_digit());
        if is_id {
            let number = names.len();
            out.push_str(&format!("#{}", names.entry(word).or_insert(number)));
        } else {
            out.push_str(word);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The lines in which two texts differ, for people.
pub(crate) fn difference(expected: &str, found: &str) -> String {
    let (mut expected, mut found) = (expected.lines(), found.lines());
    let mut shown = Vec::new();
    loop {
        match (expected.next(), found.next()) {
            (None, None) => break,
            (a, b) if a == b => {}
            (a, b) => shown.push(format!("  - {}\n  + {}", a.unwrap_or_default(), b.unwrap_or_default())),
        }
    }
    shown.truncate(12);
    shown.join("\n")
}

#[test]
fn ids_are_named_by_their_first_appearance() {
    let text = "a 0123456789abcdefghjkmnpqrs b 1123456789abcdefghjkmnpqrs, 0123456789abcdefghjkmnpqrs.";
    assert_eq!(named_anew(text), "a #0 b #1, #0.");
}
