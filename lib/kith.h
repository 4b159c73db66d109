/*
 * All that a resource program includes.
 */
#ifndef KITH_H
#define KITH_H

#include "request.h"
#include "resource.h"

#endif
