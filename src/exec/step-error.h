/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a step that failed means to people. */

#include "exec/pool.h"
#include "model/plan.h"

/* Of a positive errno of the kernel. */
Reason step_reason(const Step *s, int error);

/* Sentences, newly allocated. NULL: out of memory. */
char *step_sentence(const Step *s, const WorkerReply *reply);
char *step_loss_sentence(const Step *s, PoolOutcome outcome); /* no answer came */
