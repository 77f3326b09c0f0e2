// Takes XState machines through single events, and writes where each brought them.
//
//     node walk_xstate.js IN OUT
//
// In: [{config, steps: [{value, event, holds}]}], where `holds` names the guards that
// hold. Out, for each machine: {initial, steps: [{value, actions}]}. A guard's `params` say which names
// it asks.

import { readFileSync, writeFileSync } from "node:fs";
import { argv } from "node:process";
import { createMachine, initialTransition, transition } from "xstate";

function guardsOf(config) {
  const found = Object.values(config.states ?? {}).flatMap(guardsOf);
  return [
    ...found,
    ...Object.values(config.on ?? {})
      .flat()
      .flatMap(({ guard }) => (guard ? [guard.type] : [])),
  ];
}

function holds({ event }, { all, none }) {
  const known = new Set(event.holds);
  return all.every((name) => known.has(name)) && !none.some((name) => known.has(name));
}

function walked({ config, steps }) {
  const guards = Object.fromEntries(guardsOf(config).map((type) => [type, holds]));
  const machine = createMachine(config, { guards });
  const [{ value: initial }] = initialTransition(machine);
  const taken = steps.map(({ value, event, holds: names }) => {
    const here = machine.resolveState({ value, context: {} });
    const [reached, actions] = transition(machine, here, { type: event, holds: names });
    return { value: reached.value, actions: actions.map(({ type }) => type) };
  });
  return { initial, steps: taken };
}

const [, , asked, answer] = argv;
writeFileSync(answer, JSON.stringify(JSON.parse(readFileSync(asked, "utf8")).map(walked)));
