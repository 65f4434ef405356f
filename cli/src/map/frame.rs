//! One frame of the map: dots in, lines out. Knows no terminal and no connection.
//!
//! With colours, each character holds two pixels, one above the other (half blocks). Without, each
//! holds one letter: `@` a player, `m` a monster, `M` one that hunts, `X` one that strikes, `.` a
//! dead one.

use std::fmt::Write as _;

/// What a dot stands for. Later ones are drawn over earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Dead,
    Other,
    Calm,
    Hunting,
    Striking,
    Hurt,
    Player,
}

impl Kind {
    /// 256-colour palette.
    fn colour(self) -> u8 {
        match self {
            Kind::Dead => 239,
            Kind::Other => 33,
            Kind::Calm => 28,
            Kind::Hunting => 214,
            Kind::Striking => 196,
            Kind::Hurt => 213,
            Kind::Player => 51,
        }
    }

    fn letter(self) -> char {
        match self {
            Kind::Dead => '.',
            Kind::Other => 'o',
            Kind::Calm => 'm',
            Kind::Hunting => 'M',
            Kind::Striking => 'X',
            Kind::Hurt | Kind::Player => '@',
        }
    }
}

/// One entity on the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dot {
    /// What it stands for.
    pub kind: Kind,
    /// Metres east.
    pub x: f32,
    /// Metres north.
    pub z: f32,
}

/// What part of the world is drawn, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    pub x: (f32, f32),
    pub z: (f32, f32),
}

impl Window {
    /// The yard, and whoever stands outside of it.
    pub fn around(dots: &[Dot]) -> Window {
        let mut window = Window { x: (0.0, 160.0), z: (0.0, 100.0) };
        for dot in dots.iter().filter(|dot| dot.x.is_finite() && dot.z.is_finite()) {
            window.x = (window.x.0.min(dot.x), window.x.1.max(dot.x));
            window.z = (window.z.0.min(dot.z), window.z.1.max(dot.z));
        }
        window
    }

    /// Pixel of a point; none if it is outside. North is up.
    fn pixel(&self, dot: &Dot, columns: usize, rows: usize) -> Option<(usize, usize)> {
        let across = (dot.x - self.x.0) / (self.x.1 - self.x.0);
        let down = (self.z.1 - dot.z) / (self.z.1 - self.z.0);
        if !(0.0..=1.0).contains(&across) || !(0.0..=1.0).contains(&down) {
            return None;
        }
        let column = ((across * columns as f32) as usize).min(columns.checked_sub(1)?);
        let row = ((down * rows as f32) as usize).min(rows.checked_sub(1)?);
        Some((column, row))
    }
}

/// What stands above the map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// Label and hash of the version that runs.
    pub version: String,
    /// Publications so far.
    pub generation: u32,
    /// Deaths of players so far.
    pub deaths: u64,
    /// Frames drawn in the last second.
    pub fps: u32,
    /// Sum of the players' hit points, and how many players there are.
    pub health: (i64, u64),
}

/// Everything on the screen.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// Above the map.
    pub head: Head,
    /// On the map.
    pub dots: Vec<Dot>,
    /// Below the map, newest last.
    pub log: Vec<String>,
}

/// The screen as lines, none wider than `columns`, as many as `rows`.
pub fn render(scene: &Scene, columns: usize, rows: usize, colour: bool) -> Vec<String> {
    let log_rows = scene.log.len().min(rows / 4);
    let map_rows = rows.saturating_sub(2 + log_rows);
    let mut lines = vec![fit(&headline(scene), columns)];
    if colour {
        lines.extend(half_blocks(&scene.dots, columns, map_rows));
    } else {
        lines.extend(letters(&scene.dots, columns, map_rows));
    }
    let skipped = scene.log.len() - log_rows;
    lines.extend(scene.log.iter().skip(skipped).map(|line| fit(line, columns)));
    // With colours its width is not its length; a narrow terminal cuts it by itself.
    lines.push(if colour { legend(true) } else { fit(&legend(false), columns) });
    lines.truncate(rows);
    lines
}

fn headline(scene: &Scene) -> String {
    let of = |wanted: &[Kind]| scene.dots.iter().filter(|dot| wanted.contains(&dot.kind)).count();
    let (health, players) = scene.head.health;
    let mean = if players == 0 { 0 } else { health / i64::try_from(players).unwrap_or(i64::MAX) };
    format!(
        "yard {} gen {} | {} monsters: {} hunt, {} strike, {} dead | {} players, {} hp, {} deaths | {} fps",
        scene.head.version,
        scene.head.generation,
        of(&[Kind::Calm, Kind::Hunting, Kind::Striking, Kind::Dead]),
        of(&[Kind::Hunting]),
        of(&[Kind::Striking]),
        of(&[Kind::Dead]),
        of(&[Kind::Player, Kind::Hurt]),
        mean,
        scene.head.deaths,
        scene.head.fps,
    )
}

fn legend(colour: bool) -> String {
    let entries = [
        (Kind::Player, "player"),
        (Kind::Hurt, "hurt"),
        (Kind::Calm, "monster"),
        (Kind::Hunting, "hunts"),
        (Kind::Striking, "strikes"),
        (Kind::Dead, "dead"),
    ];
    let mut text = String::new();
    for (kind, name) in entries {
        let _ = match colour {
            true => write!(text, "\x1b[38;5;{}m■\x1b[0m {name}  ", kind.colour()),
            false => write!(text, "{} {name}  ", kind.letter()),
        };
    }
    text.push_str("q quits");
    text
}

/// The nearest dot of the highest kind for each pixel.
fn pixels(dots: &[Dot], columns: usize, rows: usize) -> Vec<Option<Kind>> {
    let window = Window::around(dots);
    let mut pixels: Vec<Option<Kind>> = vec![None; columns * rows];
    for dot in dots {
        let place = window.pixel(dot, columns, rows).map(|(column, row)| row * columns + column);
        if let Some(pixel) = place.and_then(|place| pixels.get_mut(place)) {
            *pixel = (*pixel).max(Some(dot.kind));
        }
    }
    pixels
}

fn letters(dots: &[Dot], columns: usize, rows: usize) -> Vec<String> {
    let pixels = pixels(dots, columns, rows);
    let line = |row: &[Option<Kind>]| row.iter().map(|it| it.map_or(' ', Kind::letter)).collect::<String>();
    pixels.chunks(columns.max(1)).map(|row| line(row).trim_end().to_owned()).collect()
}

fn half_blocks(dots: &[Dot], columns: usize, rows: usize) -> Vec<String> {
    let pixels = pixels(dots, columns, rows * 2);
    let mut lines = Vec::with_capacity(rows);
    for pair in pixels.chunks(columns.max(1) * 2) {
        let (upper, lower) = pair.split_at(pair.len() / 2);
        let mut line = String::with_capacity(columns * 2);
        // What the terminal draws with now; escapes are written only when it changes.
        let mut now: (Option<u8>, Option<u8>) = (None, None);
        for (upper, lower) in upper.iter().zip(lower) {
            let (glyph, wanted) = match (upper, lower) {
                (None, None) => (' ', (now.0, None)),
                (Some(one), None) => ('▀', (Some(one.colour()), None)),
                (None, Some(one)) => ('▄', (Some(one.colour()), None)),
                (Some(above), Some(below)) if above == below => ('█', (Some(above.colour()), None)),
                (Some(above), Some(below)) => ('▀', (Some(above.colour()), Some(below.colour()))),
            };
            if wanted.1 != now.1 {
                let _ = match wanted.1 {
                    Some(colour) => write!(line, "\x1b[48;5;{colour}m"),
                    None => write!(line, "\x1b[49m"),
                };
            }
            if let (true, Some(colour)) = (wanted.0 != now.0, wanted.0) {
                let _ = write!(line, "\x1b[38;5;{colour}m");
            }
            now = wanted;
            line.push(glyph);
        }
        line.push_str("\x1b[0m");
        lines.push(line);
    }
    lines
}

fn fit(text: &str, columns: usize) -> String {
    text.chars().filter(|it| !it.is_control()).take(columns).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn dot(kind: Kind, x: f32, z: f32) -> Dot {
        Dot { kind, x, z }
    }

    fn scene() -> Scene {
        Scene {
            head: Head {
                version: "1 0123456789ab".into(),
                generation: 1,
                deaths: 2,
                fps: 20,
                health: (150, 2),
            },
            dots: vec![
                dot(Kind::Player, 0.0, 100.0),
                dot(Kind::Hurt, 80.0, 50.0),
                dot(Kind::Calm, 160.0, 0.0),
                dot(Kind::Hunting, 81.0, 50.0),
                dot(Kind::Striking, 40.0, 50.0),
                dot(Kind::Dead, 120.0, 25.0),
            ],
            log: vec!["one".into(), "`yard` runs version `2`.".into()],
        }
    }

    #[test]
    fn letters_stand_where_the_dots_are() {
        let text = render(&scene(), 40, 12, false).join("\n");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[1], "@");
        assert_eq!(lines[5].find('X'), Some(10));
        assert_eq!(lines[5].find('@'), Some(20), "a player covers the monster on its pixel: {text}");
        assert_eq!(lines[7].find('.'), Some(30));
        assert_eq!(lines[8].find('m'), Some(39));
        assert_eq!(&lines[9..11], ["one", "`yard` runs version `2`."]);
    }

    #[test]
    fn the_headline_counts() {
        expect!["yard 1 0123456789ab gen 1 | 4 monsters: 1 hunt, 1 strike, 1 dead | 2 players, 75 hp, 2 deaths | 20 fps"]
            .assert_eq(&headline(&scene()));
    }

    #[test]
    fn half_blocks_hold_two_pixels() {
        let dots = [dot(Kind::Player, 0.0, 100.0), dot(Kind::Calm, 0.0, 0.0), dot(Kind::Dead, 160.0, 0.0)];
        expect![[r#"
            "\u{1b}[48;5;28m\u{1b}[38;5;51m▀\u{1b}[49m\u{1b}[38;5;239m▄\u{1b}[0m""#]]
        .assert_eq(&format!("{:?}", half_blocks(&dots, 2, 1).join("|")));
    }

    #[test]
    fn a_screen_of_any_size_is_filled_and_never_overrun() {
        for (columns, rows) in [(0, 0), (1, 1), (3, 2), (80, 24), (300, 100)] {
            for colour in [false, true] {
                let lines = render(&scene(), columns, rows, colour);
                assert!(lines.len() <= rows, "{columns}x{rows}");
            }
        }
    }

    #[test]
    fn the_window_grows_for_those_outside_and_ignores_nonsense() {
        let window = Window::around(&[dot(Kind::Player, -40.0, 120.0), dot(Kind::Calm, f32::NAN, 1.0)]);
        assert_eq!(window, Window { x: (-40.0, 160.0), z: (0.0, 120.0) });
        assert!(
            render(
                &Scene { dots: vec![dot(Kind::Calm, f32::INFINITY, 0.0)], ..Scene::default() },
                10,
                10,
                true
            )
            .len()
                == 10
        );
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(fit("a\nb\u{7}c", 80), "abc");
    }
}
