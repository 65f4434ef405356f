// The module of tests/modules/probe once more, in JavaScript.

import { game } from "everwake";
import { Actor } from "./actor.js";
import { Desk, Hall, Runner } from "./others.js";

export const logic = game({
  name: "probe",
  types: [Actor, Hall, Runner, Desk],
  capabilities: ["key-value", "broadcast"],
});
