/* Goal: an executable serves its programs from its start to SIGTERM, and says in one line why it cannot start. */
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <fastcgi.h>

#include "listener.h"
#include "resource.h"

static char dir[] = "/tmp/kith-unit-XXXXXX";
static char text[65536];	/* what was read last: an answer, or stderr */

static int
hello(struct kith_request *req)
{
	req->reply.status = 200;
	kith_reply_header(req, "Content-Type", "text/plain");
	kith_buf_printf(&req->reply.body, "hello %s %s%s", req->tail, req->method_name, req->body);
	return 0;
}

/* The arguments behind each other, as the kernel lays them. */
static char words[400];

/* Its name for top, and for ps. */
static int
whose(struct kith_request *req)
{
	char name[16] = "";

	prctl(PR_GET_NAME, name);
	req->reply.status = 200;
	kith_buf_printf(&req->reply.body, "%s %s", name, words);
	return 0;
}

static int
how_far_back(struct kith_request *req)
{
	req->reply.status = 200;
	kith_buf_printf(&req->reply.body, "%d", getpriority(PRIO_PROCESS, 0));
	return 0;
}

static const struct kith_route gate_routes[] = {
	{ KITH_GET | KITH_POST, "/hello/*", hello },
	{ KITH_GET, "/name", whose },
	{ KITH_GET, "/nice", how_far_back },
	{ 0 },
};
static const struct kith_route other_routes[] = { { KITH_GET, "/name", whose }, { 0 } };
static const struct kith_resource gate = { .name = "gate", .mount = "/gate/v1", .routes = gate_routes };
static const struct kith_resource other = {
	.name = "other",
	.mount = "/other",
	.routes = other_routes,
	.processes = 1,
};
/* The same in processes that stand back. */
static const struct kith_resource side = {
	.name = "side",
	.mount = "/gate/v1",
	.beside = true,
	.routes = gate_routes,
	.processes = 1,
	.nice = 7,
};
static const struct kith_resource *const pair[] = { &gate, &side, NULL };
static const struct kith_resource *const both[] = { &gate, &other, NULL };
static const struct kith_resource *const one[] = { &gate, NULL };

static const char *
path_in(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int errors;	/* what it writes to stderr */

/* Starts the executable of these resources with up to two arguments, and this descriptor as its standard input. */
static pid_t
start(const struct kith_resource *const *resources, int in, const char *first, const char *second)
{
	char *argv[4] = { words };
	const char *const given[] = { "kith-programs-of-a-test", first, second };
	char *p = words;
	int fds[2], argc = 0;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(stdout);
	pid = fork();
	if (pid) {
		close(fds[1]);
		errors = fds[0];
		return pid;
	}
	for (; argc < 3 && given[argc]; argc++) {
		argv[argc] = p;
		p = stpcpy(p, given[argc]) + 1;
	}
	dup2(in, STDIN_FILENO);
	dup2(fds[1], STDERR_FILENO);
	setenv("KITH_DATABASE", "host=/nowhere", 1);
	setenv("KITH_KEYS", path_in("keys.json"), 1);
	exit(kith_serve(resources, argc, argv));
}

static int
ended(pid_t pid)
{
	ssize_t n, all = 0;
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	while ((n = read(errors, text + all, sizeof(text) - 1 - (size_t)all)) > 0)
		all += n;
	text[all] = '\0';
	close(errors);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
stop(pid_t pid)
{
	kill(pid, SIGTERM);
	assert_int_equal(ended(pid), EX_OK);
}

/* It cannot start, and says this. */
static void
refuses(const struct kith_resource *const *resources, int in, const char *where, int status, const char *why)
{
	pid_t pid = start(resources, in, where ? "--listen" : NULL, where);

	assert_int_equal(ended(pid), status);
	assert_string_equal(text, why);
}

static void
add(unsigned char **p, int type, const void *content, size_t n)
{
	FCGI_Header h = { .version = FCGI_VERSION_1, .type = (unsigned char)type, .requestIdB0 = 1,
		.contentLengthB1 = (unsigned char)(n >> 8), .contentLengthB0 = (unsigned char)n };

	memcpy(*p, &h, sizeof(h));
	if (n)
		memcpy(*p + sizeof(h), content, n);
	*p += sizeof(h) + n;
}

static size_t
parameter(char *to, const char *name, const char *value)
{
	return (size_t)sprintf(to, "%c%c%s%s", (char)strlen(name), (char)strlen(value), name, value);
}

/* What the program behind this socket answers, head and body, in text. */
static const char *
ask(const char *name, const char *method, const char *path, const char *body)
{
	static const FCGI_BeginRequestBody begin = { .roleB0 = FCGI_RESPONDER };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	unsigned char records[2048], *p = records, h[FCGI_HEADER_LEN], content[65536];
	char parameters[512], length[20];
	size_t n = 0, all = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	/* A program that does not serve makes a test that fails, not one that hangs. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 30 }, sizeof(struct timeval));
	snprintf(length, sizeof(length), "%zu", strlen(body));
	n += parameter(parameters + n, "REQUEST_METHOD", method);
	n += parameter(parameters + n, "REQUEST_URI", path);
	n += parameter(parameters + n, "CONTENT_LENGTH", length);
	add(&p, FCGI_BEGIN_REQUEST, &begin, sizeof(begin));
	add(&p, FCGI_PARAMS, parameters, n);
	add(&p, FCGI_PARAMS, NULL, 0);
	if (*body)
		add(&p, FCGI_STDIN, body, strlen(body));
	add(&p, FCGI_STDIN, NULL, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, name);
	/* It may not have come so far yet. */
	for (int tries = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)) && tries < 500; tries++)
		poll(NULL, 0, 20);
	assert_int_equal(write(fd, records, (size_t)(p - records)), p - records);
	while (recv(fd, h, sizeof(h), MSG_WAITALL) == sizeof(h)) {
		n = (size_t)h[4] << 8 | h[5];
		assert_int_equal(recv(fd, content, n + h[6], MSG_WAITALL), n + h[6]);
		if (h[1] == FCGI_STDOUT) {
			memcpy(text + all, content, n);
			all += n;
		}
	}
	text[all] = '\0';
	close(fd);
	return text;
}

/* The answer has this status, this line in its head (NULL: any), and this body. */
static void
answers(const char *method, const char *path, const char *status, const char *line, const char *body)
{
	const char *all = ask("kith-gate.sock", method, path, "");
	char first[64];

	snprintf(first, sizeof(first), "Status: %s\r\n", status);
	assert_memory_equal(all, first, strlen(first));
	if (line)
		assert_non_null(strstr(all, line));
	assert_string_equal(strstr(all, "\r\n\r\n") + 4, body);
}

static void
each_its_own(void **state)
{
	pid_t pid = start(both, STDIN_FILENO, "--listen", dir);
	struct stat st;

	(void)state;
	assert_string_equal(strstr(ask("kith-gate.sock", "GET", "/gate/v1/name", ""), "\r\n\r\n") + 4, "kith-gate kith-gate");
	assert_string_equal(strstr(ask("kith-other.sock", "GET", "/other/name", ""), "\r\n\r\n") + 4, "kith-other kith-other");
	assert_non_null(strstr(ask("kith-other.sock", "GET", "/gate/v1/name", ""), "Status: 404"));
	assert_int_equal(stat(path_in("kith-gate.sock"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	stop(pid);
	assert_int_equal(stat(path_in("kith-gate.sock"), &st), -1);
	assert_non_null(strstr(text, "\"program\":\"kith-programs\""));
	assert_non_null(strstr(text, "\"program\":\"kith-gate\""));
}

static void
side_by_side(void **state)
{
	pid_t pid = start(pair, STDIN_FILENO, "--listen", dir);
	int ours = getpriority(PRIO_PROCESS, 0), back = ours + side.nice;

	(void)state;
	assert_int_equal(atoi(strstr(ask("kith-gate.sock", "GET", "/gate/v1/nice", ""), "\r\n\r\n") + 4), ours);
	assert_int_equal(atoi(strstr(ask("kith-side.sock", "GET", "/gate/v1/nice", ""), "\r\n\r\n") + 4), back > 19 ? 19 : back);
	assert_string_equal(strstr(ask("kith-side.sock", "GET", "/gate/v1/name", ""), "\r\n\r\n") + 4, "kith-side kith-side");
	stop(pid);
	/* Of the executable itself the first one tells. */
	assert_null(strstr(text, "kith-programs"));
}

static void
by_route(void **state)
{
	pid_t pid = start(one, STDIN_FILENO, "--listen", dir);

	(void)state;
	answers("GET", "/gate/v1/hello/you", "200 OK", "Content-Type: text/plain\r\n", "hello you GET");
	answers("HEAD", "/gate/v1/hello/you", "200 OK", NULL, "");
	answers("OPTIONS", "/gate/v1/hello/you", "200 OK", "Access-Control-Allow-Methods: ", "");
	assert_non_null(strstr(ask("kith-gate.sock", "POST", "/gate/v1/hello/a/b?x=y", " body"),
	    "\r\n\r\nhello a/b POST body"));
	answers("DELETE", "/gate/v1/hello/you", "405 Method Not Allowed", "Allow: GET, HEAD, POST, OPTIONS\r\n",
	    "{\"code\":\"KITH405\",\"details\":null,\"hint\":null,\"message\":\"the method is not allowed\"}");
	answers("GET", "/gate/v1/hell", "404 Not Found", NULL,
	    "{\"code\":\"KITH404\",\"details\":null,\"hint\":null,\"message\":\"there is nothing at this path\"}");
	/* It has no tables: not even one that asks for it by that socket gets one. */
	assert_non_null(strstr(ask("kith-gate.sock", "GET", "/rest/v1/users", ""), "Status: 404"));
	stop(pid);
}

static void
given_a_socket(void **state)
{
	int fd = kith_listener_open(dir, "kith-gate");
	pid_t pid;

	(void)state;
	assert_true(fd >= 0);
	pid = start(one, fd, NULL, NULL);
	answers("GET", "/gate/v1/hello/", "200 OK", NULL, "hello  GET");
	stop(pid);
	/* It is not ours to take away. */
	assert_int_equal(access(path_in("kith-gate.sock"), F_OK), 0);
	kith_listener_close(dir, "kith-gate", fd);
}

static void
left_over(void **state)
{
	int fd = kith_listener_open(dir, "kith-gate");
	pid_t pid;

	(void)state;
	close(fd);
	pid = start(one, STDIN_FILENO, "--listen", dir);
	answers("GET", "/gate/v1/hello/", "200 OK", NULL, "hello  GET");
	stop(pid);
}

static void
cannot(void **state)
{
	char why[400], far[200];
	int fd = kith_listener_open(dir, "kith-other");

	(void)state;
	snprintf(why, sizeof(why), "%s/kith-other.sock: Address already in use\n", dir);
	refuses(both, STDIN_FILENO, dir, EX_USAGE, why);
	assert_int_equal(access(path_in("kith-gate.sock"), F_OK), -1);
	assert_int_equal(access(path_in("kith-other.sock"), F_OK), 0);
	kith_listener_close(dir, "kith-other", fd);

	fd = open(path_in("kith-gate.sock"), O_CREAT | O_WRONLY, 0600);
	snprintf(why, sizeof(why), "%s/kith-gate.sock: File exists\n", dir);
	refuses(both, STDIN_FILENO, dir, EX_USAGE, why);
	assert_int_equal(unlink(path_in("kith-gate.sock")), 0);

	refuses(both, STDIN_FILENO, "/nowhere", EX_USAGE, "/nowhere/kith-gate.sock: No such file or directory\n");
	snprintf(far, sizeof(far), "/%0150d", 0);
	snprintf(why, sizeof(why), "%s/kith-gate.sock: File name too long\n", far);
	refuses(both, STDIN_FILENO, far, EX_USAGE, why);
	refuses(both, STDIN_FILENO, NULL, EX_USAGE, "kith-programs: say where to make sockets: --listen DIR\n");
	refuses(one, fd, NULL, EX_USAGE,
	    "kith-gate: standard input is no listening socket; or say where to make one: --listen DIR\n");
	close(fd);
}

static int
write_keys(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return -1;
	fprintf(f, "{\"api_keys\":[{\"sha256\":\"%064d\",\"role\":\"anon\"}]}", 0);
	return fclose(f);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("each program has its socket and its processes, which bear its name", each_its_own),
		unit_that("a part of a program has processes of its own, which stand back", side_by_side),
		unit_that("requests reach the routes of a program, and no others", by_route),
		unit_that("a program alone takes its socket from who started it", given_a_socket),
		unit_that("a socket that was left over is replaced", left_over),
		unit_that("what it cannot do it says in one line, and leaves nothing behind", cannot),
	};
	int rc;

	if (!mkdtemp(dir) || write_keys(path_in("keys.json")))
		return 1;
	rc = unit_run(tests);
	unlink(path_in("keys.json"));
	return rmdir(dir) || rc;
}
