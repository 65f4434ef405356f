// The desk, the halls and the runners.

import { Fail, create, indexOf, spawn, then } from "everwake";
import { Actor } from "./actor.js";
import services from "everwake:game/services@0.1.0";
import spaces from "everwake:game/spaces@0.1.0";

const at = (x, z) => ({ x, y: 0, z, yaw: 0 });

/** The one shard of the desk. */
export function desk() {
  return services.byNumber(indexOf(Desk), 0);
}

/** Makes two halls when the game starts. */
export class Desk {
  static kind = "service";
  static shards = 1;
  static attributes = { halls: "list<ref<Hall>>", guests: "u32", notes: "list<string>" };

  static methods = {
    on_hall: { outcome: "ref<Hall>" },
    places: { exposure: "server", returns: "tuple<u32, ref<Hall>, ref<Hall>>" },
    note: { exposure: "server", params: { what: "string" } },
  };

  onCreate() {
    create(Hall, ["hall"], { tag: "anywhere" }, then("on_hall"));
  }

  // One after the other: of two that are made at once either may be there first.
  on_hall(_, hall) {
    if (hall.ok) this.halls.push(hall.value);
    if (this.halls.length === 1) create(Hall, ["other hall"], { tag: "anywhere" }, then("on_hall"));
  }

  places() {
    if (this.halls.length < 2) throw new Fail("the halls are not there yet");
    this.guests += 1;
    return [this.guests, this.halls[0], this.halls[1]];
  }

  note(what) {
    this.notes.push(what);
  }
}

/** A space. The first one has inhabitants. */
export class Hall {
  static kind = "space";
  static construct = { name: "string" };
  static attributes = {
    name: { type: "string", allClients: true },
    value: { type: "i32", allClients: true },
  };

  construct(name) {
    this.name = name;
  }

  onCreate() {
    if (this.name !== "hall") return;
    spawn(Actor, { name: "friend" }, at(3, 0));
    spawn(Actor, { name: "victim" }, at(4, 0));
    spawn(Runner, { name: "armed" }, at(5, 0));
    spawn(Runner, { name: "steady" }, at(6, 0));
  }
}

/** Whoever ticks: one is told to go wrong, the other one goes on. */
export class Runner {
  static ticksPerSecond = 10;
  static attributes = {
    name: { type: "string", allClients: true },
    end: { type: "string", allClients: true },
    ticks: { type: "u32", allClients: true },
  };

  tick(step) {
    if (this.name === "steady") {
      this.ticks += 1;
      step.pose = at(step.pose.x + 1, step.pose.z);
      return;
    }
    if (this.end === "" || this.end === "nothing") return;
    this.ticks += 1;
    step.pose = at(50, 50);
    spaces.setMotion(this.id, Uint8Array.from("ran", (char) => char.charCodeAt(0)));
    if (this.end === "err") throw new Fail("the tick was told to fail");
    if (this.end === "trap") throw new Error("the tick was told to trap");
  }
}
