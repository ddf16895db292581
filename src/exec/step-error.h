/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a step that failed means to people. */

#include "exec/pool.h"
#include "model/plan.h"

/* Of a positive errno of the kernel. */
Reason step_reason(const Step *s, int error);

/* Sentences, newly allocated. NULL: out of memory. */
char *step_sentence(const Step *s, const WorkerReply *reply);

/* No answer of the kernel came: `reply`, if there is one, says that there was no lock. */
char *step_loss_sentence(WorkerVerb verb, PoolOutcome outcome, const WorkerReply *reply);
