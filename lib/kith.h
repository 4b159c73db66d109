/*
 * All that a resource program includes.
 */
#ifndef KITH_H
#define KITH_H

#include "error.h"
#include "hook.h"
#include "rank.h"
#include "request.h"
#include "resource.h"
#include "sql.h"

#endif
