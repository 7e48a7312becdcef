/* tests/support/sim_world.c - the simulated world's effects and its log; see sim_world.h. */
#include "sim_world.h"

#include "base/check.h"

void sim_world_begin(struct sim_world *world)
{
    world->tasks_alive = 1;
    world->tasks_peak = 1;
}

static void take_effect(struct sim_world *world, const struct sim_op *op)
{
    switch (op->kind) {
    case SIM_WRITE: world->storage_bytes += op->amount; return;
    case SIM_CONNECT: world->network_bytes += op->amount; return;
    case SIM_SPAWN:
        world->tasks_alive++;
        world->tasks_peak =
            world->tasks_alive > world->tasks_peak ? world->tasks_alive : world->tasks_peak;
        return;
    case SIM_BURN: world->cpu_micros += op->amount; return;
    case SIM_EXIT:
        world->ended = true;
        world->exit_code = (int)op->amount;
        world->tasks_alive--;
        return;
    case SIM_READ:
    case SIM_USE_FD:
    case SIM_PRINT:
    case SIM_WAIT: return;
    }
    BV_UNREACHABLE();
}

void sim_world_attempt(struct sim_world *world, const struct sim_op *op, bool let)
{
    BV_ASSERT(world->log_count < SIM_EVENTS_MAX);
    world->log[world->log_count++] = (struct sim_event){ op->kind, op->subject, op->amount, let };
    if (let) {
        take_effect(world, op);
    }
}

void sim_world_kill_tree(struct sim_world *world)
{
    world->tasks_alive = 0;
}

void sim_world_promote(struct sim_world *world)
{
    world->promoted = true;
}
