/* bvisor/bvisor.h - everything. The order of use is the loop: spec, backend, plan, run, report. */
#ifndef BVISOR_BVISOR_H
#define BVISOR_BVISOR_H

#include <bvisor/base.h>
#include <bvisor/limits.h>
#include <bvisor/spec.h>
#include <bvisor/plan.h>
#include <bvisor/report.h>
#include <bvisor/backend.h>
#include <bvisor/artifacts.h>
#include <bvisor/host.h>
#include <bvisor/run.h>
#include <bvisor/sign.h>

#endif
