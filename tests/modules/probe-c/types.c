/* What the module is: the same manifest as that of the Rust probe. */
#include "probe.h"

enum {
  OWN = EW_MANIFESTS_EXPOSURE_OWN_CLIENT,
  SERVER = EW_MANIFESTS_EXPOSURE_SERVER,
  ALL = EW_MANIFESTS_ATTRIBUTE_FLAGS_ALL_CLIENTS
};

static const ew_attribute actor_attributes[] = {
    [A_NAME] = {"name", "string", ALL},
    [A_VALUE] = {"value", "i32", ALL},
    [A_NOTES] = {"notes", "list<string>", ALL},
    [A_TABLE] = {"table", "map<string, i32>", ALL},
    [A_FRIEND] = {"friend", "ref<Actor>"},
    [A_VICTIM] = {"victim", "ref<Actor>"},
    [A_OTHER_HALL] = {"other_hall", "ref<Hall>"},
    [A_TIMER] = {"timer", "id"},
    [A_WATCH] = {"watch", "id"},
    [A_WAITING] = {"waiting", "tuple<id, id>"},
    [A_TAKEN] = {"taken", "option<tuple<id, id>>"},
};

#define PLACES_TYPE "tuple<u32, ref<Hall>, ref<Hall>>"

static const ew_method actor_methods[] = {
    [ON_PLACES] = {"on_places", actor_on_places, .parameters = "context: unit, outcome: " PLACES_TYPE},
    [PREPARE] = {"prepare", actor_prepare, OWN},
    [PROBE] = {"probe", actor_probe, OWN, "what: string, end: string"},
    [ARM] = {"arm", actor_arm, OWN, "end: string"},
    [LOOK] = {"look", actor_look, OWN},
    [ASK] = {"ask", actor_ask, SERVER, "asker: ref<Actor>"},
    [PROMISE] = {"promise", actor_promise, SERVER, .returns = "u32"},
    [POKE] = {"poke", actor_poke, SERVER, "what: string", "u32"},
    [ON_TIMER] = {"on_timer", actor_on_timer, .parameters = "context: string, outcome: u32"},
    [ON_GONE] = {"on_gone", actor_on_gone, .parameters = "context: string, outcome: u32"},
    [ON_PUT] = {"on_put", actor_on_put, .parameters = "context: string, outcome: unit"},
    [ON_VALUE] = {"on_value", actor_on_value, .parameters = "context: string, outcome: u32"},
    [ON_VALUES] = {"on_values", actor_on_values, .parameters = "context: string, outcome: list<u32>"},
    [ON_MADE] = {"on_made", actor_on_made, .parameters = "context: string, outcome: ref<Actor>"},
    [ON_BOUNCED] = {"on_bounced", actor_on_bounced, .parameters = "context: string, outcome: any"},
    [ON_FOUND] = {"on_found", actor_on_found, .parameters = "context: string, outcome: option<u32>"},
    [ON_KEPT] = {"on_kept", actor_on_kept, .parameters = "context: string, outcome: tuple<u32, bool>"},
    [ON_SWAPPED_IN] = {"on_swapped_in", actor_on_swapped_in,
                       .parameters = "context: string, outcome: tuple<bool, option<u32>>"},
    [ON_ROWS] = {"on_rows", actor_on_rows, .parameters = "context: string, outcome: list<tuple<string, u32>>"},
};

static const ew_client_method actor_client_methods[] = {[HEARD] = {"heard", "what: string"}};

static const ew_attribute hall_attributes[] = {
    [H_NAME] = {"name", "string", ALL},
    [H_VALUE] = {"value", "i32", ALL},
};

static const ew_attribute runner_attributes[] = {
    [R_NAME] = {"name", "string", ALL},
    [R_END] = {"end", "string", ALL},
    [R_TICKS] = {"ticks", "u32", ALL},
};

static const ew_attribute desk_attributes[] = {
    [D_HALLS] = {"halls", "list<ref<Hall>>"},
    [D_GUESTS] = {"guests", "u32"},
    [D_NOTES] = {"notes", "list<string>"},
};

static const ew_method desk_methods[] = {
    [ON_HALL] = {"on_hall", desk_on_hall, .parameters = "context: unit, outcome: ref<Hall>"},
    [PLACES] = {"places", desk_places, SERVER, .returns = PLACES_TYPE},
    [NOTE] = {"note", desk_note, SERVER, "what: string"},
};

static const ew_type types[] = {
    [ACTOR] = {"Actor", .boot = true, .aoi_radius = 500, EW_LIST(attribute, actor_attributes),
               EW_LIST(method, actor_methods), EW_LIST(client_method, actor_client_methods),
               .hooks = {[EXPORTS_EW_LOGIC_HOOK_CONSTRUCT] = actor_construct,
                         [EXPORTS_EW_LOGIC_HOOK_CLIENT] = actor_client,
                         [EXPORTS_EW_LOGIC_HOOK_CLIENT_LOST] = actor_client_lost}},
    [HALL] = {"Hall", EW_MANIFESTS_TYPE_KIND_SPACE, EW_LIST(attribute, hall_attributes),
              .hooks = {[EXPORTS_EW_LOGIC_HOOK_CONSTRUCT] = hall_construct,
                        [EXPORTS_EW_LOGIC_HOOK_CREATE] = hall_create}},
    [RUNNER] = {"Runner", EW_LIST(attribute, runner_attributes), .tick = runner_tick, .ticks_per_second = 10},
    [DESK] = {"Desk", EW_MANIFESTS_TYPE_KIND_SERVICE, .shards = 1, EW_LIST(attribute, desk_attributes),
              EW_LIST(method, desk_methods), .hooks = {[EXPORTS_EW_LOGIC_HOOK_CREATE] = desk_create}},
};

const ew_module everwake_module = {"probe", "probe", EW_LIST(type, types), .capabilities = {"key-value", "broadcast"}};
