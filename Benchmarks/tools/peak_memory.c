// SPDX-License-Identifier: Apache-2.0
/* peak_memory COMMAND [ARGUMENT...]
 *
 * Runs COMMAND and prints its peak resident set in KiB on standard error, as the last line. A small program of its own,
 * because ru_maxrss of a process begins with the size of the process that forked it: a Python interpreter would hide
 * small figures. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: peak_memory COMMAND [ARGUMENT...]\n");
        return 2;
    }
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) < 0) {
        perror("peak_memory");
        return 1;
    }
    fprintf(stderr, "%ld\n", usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
