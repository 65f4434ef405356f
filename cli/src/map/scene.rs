//! From what a client mirrors of the yard to dots. Goes by names, so that any version can be drawn.

use super::frame::{Dot, Head, Kind, Scene};
use serde_json::Value;

/// An entity as the client sees it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Name of its type.
    pub type_name: String,
    /// Metres east.
    pub x: f32,
    /// Metres north.
    pub z: f32,
    /// `hp`, if it has that.
    pub hp: Option<i64>,
    /// `mode`: the case's name.
    pub mode: String,
    /// `deaths`, if it has that.
    pub deaths: u64,
}

impl Seen {
    /// Takes an attribute by name.
    pub fn take(&mut self, name: &str, value: &Value) {
        match name {
            "hp" => self.hp = value.as_i64(),
            "deaths" => self.deaths = value.as_u64().unwrap_or(0),
            "mode" => self.mode = case_name(value),
            _ => {}
        }
    }
}

/// `"chase"` and `{"chase": ...}` are both `chase`.
fn case_name(value: &Value) -> String {
    let name =
        value.as_str().or_else(|| value.as_object().and_then(|it| it.keys().next()).map(String::as_str));
    name.unwrap_or_default().to_ascii_lowercase()
}

/// Below this a player is drawn as hurt.
const HURT_HP: i64 = 40;

/// Everything that is drawn.
pub fn scene(seen: impl Iterator<Item = Seen>, mut head: Head, log: Vec<String>) -> Scene {
    let mut dots = Vec::new();
    let (mut health, mut players, mut deaths) = (0, 0, 0);
    for entity in seen {
        let Some(kind) = kind(&entity) else { continue };
        if entity.type_name == "Walker" {
            health += entity.hp.unwrap_or(0).max(0);
            players += 1;
        }
        deaths += entity.deaths;
        dots.push(Dot { kind, x: entity.x, z: entity.z });
    }
    head.health = (health, players);
    head.deaths = deaths;
    Scene { head, dots, log }
}

/// What an entity is drawn as; spectators and spaces are not drawn.
fn kind(entity: &Seen) -> Option<Kind> {
    let dead = entity.hp.is_some_and(|hp| hp <= 0);
    match entity.type_name.as_str() {
        "Monster" if dead => Some(Kind::Dead),
        "Monster" => Some(match entity.mode.as_str() {
            "dead" => Kind::Dead,
            "chase" | "hunt" => Kind::Hunting,
            "strike" => Kind::Striking,
            _ => Kind::Calm,
        }),
        "Walker" if dead => Some(Kind::Dead),
        "Walker" if entity.hp.is_some_and(|hp| hp < HURT_HP) => Some(Kind::Hurt),
        "Walker" => Some(Kind::Player),
        "Spectator" => None,
        _ => Some(Kind::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(type_name: &str, attributes: Value) -> Seen {
        let mut seen = Seen { type_name: type_name.into(), ..Seen::default() };
        for (name, value) in attributes.as_object().unwrap() {
            seen.take(name, value);
        }
        seen
    }

    #[test]
    fn entities_are_drawn_as_what_they_do() {
        let check = |type_name, attributes, expect| {
            assert_eq!(kind(&seen(type_name, attributes)), expect, "{type_name}")
        };
        check("Monster", json!({"hp": 3, "mode": "idle"}), Some(Kind::Calm));
        check("Monster", json!({"hp": 3, "mode": {"Chase": "0abc"}}), Some(Kind::Hunting));
        check("Monster", json!({"hp": 3, "mode": "strike"}), Some(Kind::Striking));
        check("Monster", json!({"hp": 0, "mode": "idle"}), Some(Kind::Dead));
        check("Walker", json!({"hp": 90}), Some(Kind::Player));
        check("Walker", json!({"hp": 10}), Some(Kind::Hurt));
        check("Spectator", json!({}), None);
        check("Gull", json!({}), Some(Kind::Other));
    }

    #[test]
    fn the_head_sums_players_up() {
        let all = [
            seen("Walker", json!({"hp": 50, "deaths": 2})),
            seen("Walker", json!({"hp": -5, "deaths": 1})),
            seen("Monster", json!({"hp": 9})),
        ];
        let scene = scene(all.into_iter(), Head::default(), Vec::new());
        assert_eq!((scene.head.health, scene.head.deaths, scene.dots.len()), ((50, 2), 3, 3));
    }
}
