//! Clients: they connect, ask, hang up, and come again.

use crate::cluster::Cluster;
use crate::faults::Level;
use crate::model::see;
use crate::parts::{Part, Seat};
use bytes::Bytes;
use everwake_gate::{ConnectionId, GateInput, GateOutput};
use everwake_protocol::cbor;
use std::time::Duration;

const REQUEST_MS: u32 = 5_000;

impl Cluster {
    /// One turn of all clients and of what gates have for them.
    pub(crate) fn play(&mut self) -> Result<(), String> {
        for seat in 0..self.seats.len() {
            self.tend(seat)?;
        }
        for at in 0..self.places.len() {
            self.follow_gate(at)?;
        }
        Ok(())
    }

    fn tend(&mut self, number: usize) -> Result<(), String> {
        let here = self.seats[number].as_ref().and_then(|seat| seat.gate);
        let lives = here.is_some_and(|(at, life)| {
            self.places[at].process.as_ref().is_some_and(|process| process.life == life)
        });
        if !lives {
            if self.calm || self.dice.once_in(40) {
                self.connect(number);
            }
            return Ok(());
        }
        let acts = !self.calm && self.dice.once_in(12);
        if acts {
            self.ask(number);
        }
        let now = Duration::from_millis(self.now_ms);
        let Some(seat) = &mut self.seats[number] else { return Ok(()) };
        seat.core.tick(now);
        seat.drain().map_err(|error| format!("{}: client {number}: {error}", self.now_ms))?;
        let (connection, bytes) = (seat.connection, seat.core.take_output());
        if !bytes.is_empty() {
            self.gate_input(here.map(|(at, _)| at), GateInput::Received { connection, bytes: bytes.into() });
        }
        Ok(())
    }

    /// Comes to any gate that is there.
    fn connect(&mut self, number: usize) {
        let gates: Vec<usize> = (0..self.places.len())
            .filter(|at| !self.places[*at].is_game && self.places[*at].process.is_some())
            .collect();
        let Some(at) = self.dice.pick(&gates) else { return };
        let Some(life) = self.places[at].process.as_ref().map(|process| process.life) else { return };
        self.last_number += 1;
        let connection = ConnectionId(self.last_number);
        self.seats[number] = Some(Seat::new(connection, (at, life)));
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
        self.gate_input(Some(at), GateInput::Incoming { connection, address, proven: true });
    }

    /// Some client's plug is pulled.
    pub(crate) fn hang_up(&mut self) {
        let number = self.dice.place(self.seats.len());
        let Some(seat) = &mut self.seats[number] else { return };
        let Some((at, _)) = seat.gate.take() else { return };
        let input = GateInput::Gone { connection: seat.connection, timed_out: self.dice.once_in(2) };
        self.gate_input(Some(at), input);
    }

    /// Asks the client's own entity for something.
    fn ask(&mut self, number: usize) {
        let pokes = self.dice.once_in(2);
        match pokes {
            true => self.poke(number),
            false => drop(self.request(number, "act", Bytes::from_static(&[0x80]))),
        }
    }

    pub(crate) fn poke(&mut self, number: usize) {
        self.last_number += 1;
        let key = self.last_number as i64;
        let mut args = Vec::new();
        cbor::array(&mut args, 1);
        cbor::int(&mut args, key);
        if let Some(request) = self.request(number, "poke", args.into())
            && let Some(seat) = &mut self.seats[number]
        {
            seat.pokes.insert(request, key);
            seat.last_poke = None;
        }
    }

    fn request(&mut self, number: usize, method: &str, args: Bytes) -> Option<u64> {
        let now = Duration::from_millis(self.now_ms);
        let seat = self.seats[number].as_mut()?;
        let own = seat.core.own()?.id;
        seat.core.request_encoded(now, own, method, args, REQUEST_MS).ok()
    }

    fn gate_input(&mut self, at: Option<usize>, input: GateInput) {
        let process = at.and_then(|at| self.places[at].process.as_mut());
        if let Some(process) = process
            && let Part::Gate(gate) = &mut process.part
        {
            gate.core_input(self.now_ms, input);
        }
    }

    fn follow_gate(&mut self, at: usize) -> Result<(), String> {
        loop {
            let now_ms = self.now_ms;
            let Some(process) = &mut self.places[at].process else { return Ok(()) };
            let Part::Gate(gate) = &mut process.part else { return Ok(()) };
            let said = std::mem::take(&mut gate.said);
            if said.is_empty() {
                return Ok(());
            }
            for output in said {
                match output {
                    GateOutput::Accept { connection } => {
                        self.gate_input(Some(at), GateInput::Established { connection });
                    }
                    GateOutput::Write { connection, pieces } => {
                        if let Some(number) = self.seat_of(connection)
                            && let Some(seat) = &mut self.seats[number]
                        {
                            let told = pieces.iter().try_for_each(|piece| seat.hear(piece));
                            told.map_err(|error| format!("{now_ms}: client {number}: {error}"))?;
                        }
                        self.gate_input(Some(at), GateInput::Written { connection });
                    }
                    GateOutput::Datagram { connection, bytes } => {
                        if let Some(number) = self.seat_of(connection)
                            && let Some(seat) = &mut self.seats[number]
                        {
                            seat.core.receive_datagram(bytes);
                        }
                    }
                    GateOutput::Close { connection, code, reason, .. } => {
                        // Whoever comes while the games let each other in may be too early.
                        let is_early = reason == "no game takes the client" && self.now_ms < 1_002_000;
                        let is_fault = reason != "the client's entity was destroyed" && !is_early;
                        if self.level == Level::Calm && is_fault {
                            return Err(format!("{now_ms}: a client is closed: {code:?}, {reason}"));
                        }
                        self.leave(connection);
                        self.gate_input(Some(at), GateInput::Gone { connection, timed_out: false });
                    }
                    GateOutput::Refuse { connection } | GateOutput::Retry { connection } => {
                        self.leave(connection);
                    }
                    GateOutput::Dispatch(_) | GateOutput::Stop | GateOutput::Log { .. } => {}
                }
            }
            // What followed from it.
            see(&self.witness).mix(at as u64);
        }
    }

    fn leave(&mut self, connection: ConnectionId) {
        if let Some(number) = self.seat_of(connection)
            && let Some(seat) = &mut self.seats[number]
        {
            seat.gate = None;
        }
    }

    fn seat_of(&self, connection: ConnectionId) -> Option<usize> {
        let is = |seat: &Option<Seat>| {
            seat.as_ref().is_some_and(|seat| seat.connection == connection && seat.gate.is_some())
        };
        self.seats.iter().position(is)
    }
}

impl Seat {
    /// It has an entity, and waits for nothing.
    pub(crate) fn is_content(&self) -> bool {
        self.gate.is_some() && self.core.own().is_some() && self.core.pending() == 0
    }

    pub(crate) fn describe(&self) -> String {
        let own = self.core.own().map(|own| own.id.to_string());
        format!("{:?}, own {own:?}, {} pending, {} views", self.gate, self.core.pending(), self.views)
    }
}
