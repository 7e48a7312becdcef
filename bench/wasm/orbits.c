/* bench/wasm/orbits.c - doubles in structures: many bodies around one, a leapfrog step at a time. */
#include <math.h>
#include <stdio.h>

#define BODIES 8

static struct body { double x[3], v[3], mass; } bodies[BODIES];

static void pull(struct body *a, struct body *b, double dt)
{
    double d[3], square = 1e-9;
    for (int i = 0; i < 3; i++) {
        d[i] = a->x[i] - b->x[i];
        square += d[i] * d[i];
    }
    double force = dt / (square * sqrt(square));
    for (int i = 0; i < 3; i++) {
        a->v[i] -= d[i] * b->mass * force;
        b->v[i] += d[i] * a->mass * force;
    }
}

int main(void)
{
    bodies[0].mass = 1000;
    for (int i = 1; i < BODIES; i++) {
        bodies[i] = (struct body){ .x = { 3.0 * i, 0.25 * i, -0.5 }, .v = { 0, sqrt(1000 / (3.0 * i)), 0.1 * i }, .mass = 0.001 * i };
    }
    for (int step = 0; step < 200000; step++) {
        for (int i = 0; i < BODIES; i++) {
            for (int j = i + 1; j < BODIES; j++) {
                pull(&bodies[i], &bodies[j], 0.001);
            }
        }
        for (int i = 0; i < BODIES; i++) {
            for (int k = 0; k < 3; k++) {
                bodies[i].x[k] += 0.001 * bodies[i].v[k];
            }
        }
    }
    printf("%.9f %.9f\n", bodies[1].x[0], bodies[BODIES - 1].x[1]);
    return 0;
}
