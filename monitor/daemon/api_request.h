/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_request.h: the bodies of requests, read and checked: CreateRequest, KillRequest and
 * PoolRequest of openapi.yaml. Pure: bytes in, structs or a message out. What only the
 * engine can know (whether a name is free, whether memory is enough) is left to it.
 */
#ifndef MAYFLY_API_REQUEST_H
#define MAYFLY_API_REQUEST_H

#include <jansson.h>

#include "engine.h"

struct create_request {
	struct vm_spec spec; /* points into what follows */
	bool wait, start;
	json_t *root;
	char **argv, **envp;
	struct label *labels;
	const char **net, **publish;
	char *env_text, *stdin_text;
	/* while it is read */
	const char *argv0;
	size_t argc;
	int rm; /* -1: not said */
};

/*
 * 0, or -EINVAL or -ENOMEM with a message. In both cases create_request_free must follow. spec
 * is for engine_create; parsed_tsc is left 0, image_fd and fds are -1.
 */
int create_request_parse(const char *body, size_t bytes, struct create_request *c, struct err *err);
void create_request_free(struct create_request *c);

/* *signal is left alone if the body does not name one. */
int kill_request_parse(const char *body, size_t bytes, int *signal, struct err *err);
/* A name with or without SIG, or a number; 0: there is none such. */
int signal_parse(const char *text);

int pool_request_parse(const char *body, size_t bytes, struct flavour flavour[ENGINE_MAX_FLAVOURS],
		       size_t *n, struct err *err);

#endif
