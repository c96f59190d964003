/* What a program that was taken over would try: each act is one line, its name and what the kernel said, `OK` or an errno.
 *
 *   attempt mount bpf-map read=/etc/hosts signal=4711
 *
 * An act that is allowed changes nothing that outlives it: it asks for what is so already, for the process alone, or for
 * something that the kernel refuses for another reason once it has found that the caller may. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static long of_mount(void) { return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL); }
static long of_umount(void) { return umount2("/sbom.spdx.json", 0); } /* this program: busy */
static long of_pivot_root(void) { return syscall(SYS_pivot_root, "/", "/"); }
static long of_chroot(void) { return chroot("/"); }
static long of_unshare_user(void) { return unshare(CLONE_NEWUSER); }
static long of_unshare_mount(void) { return unshare(CLONE_NEWNS); }
static long of_unshare_net(void) { return unshare(CLONE_NEWNET); }

static long of_sethostname(void) {
    char name[256];
    return gethostname(name, sizeof name) ? -1 : sethostname(name, strlen(name));
}

static long of_clone_user(void) {
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    return child < 0 ? child : waitpid(child, NULL, 0);
}

static long of_setns(void) { return setns(open("/proc/1/ns/mnt", O_RDONLY), CLONE_NEWNS); }

static long of_mknod(void) { /* the machine's memory */
    long made = mknod("/dev/attempt", S_IFCHR | 0600, makedev(1, 1));
    if (made == 0)
        unlink("/dev/attempt");
    return made;
}

/* Out of a bind mount into the file system behind it. The handle is none of any file. */
static long of_open_by_handle(void) {
    char room[sizeof(struct file_handle) + 8] = {0};
    struct file_handle *handle = (struct file_handle *)room;
    handle->handle_bytes = 8;
    handle->handle_type = 1;
    return open_by_handle_at(open("/", O_RDONLY), handle, O_RDONLY);
}

static long of_bpf_map(void) {
    union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    return syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map);
}

static long of_bpf_program(void) { /* return 0 */
    struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K}, {.code = BPF_JMP | BPF_EXIT}};
    union bpf_attr program = {
        .prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (long)code, .insn_cnt = 2, .license = (long)"GPL"};
    return syscall(SYS_bpf, BPF_PROG_LOAD, &program, sizeof program);
}

static long of_perf(void) {
    struct perf_event_attr clock = {.type = PERF_TYPE_SOFTWARE, .size = sizeof clock, .config = PERF_COUNT_SW_CPU_CLOCK};
    return syscall(SYS_perf_event_open, &clock, 0, -1, -1, 0);
}

static long of_keyctl(void) { return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1); }
static long of_module(void) { return syscall(SYS_finit_module, -1, "", 0); }
static long of_kexec(void) { return syscall(SYS_kexec_load, 0, 0, NULL, 1); }  /* there is no such flag */
static long of_reboot(void) { return syscall(SYS_reboot, 0, 0, 0, NULL); }    /* wrong magic numbers */
static long of_swapon(void) { return swapon("/", 0); }                        /* no block device */
static long of_kernel_log(void) { return klogctl(10, NULL, 0); }              /* its size */

static long of_clock(void) { /* the time zone that the kernel has */
    struct timezone zone = {0};
    return syscall(SYS_gettimeofday, NULL, &zone) ? -1 : syscall(SYS_settimeofday, NULL, &zone);
}

static long of_setuid(void) { return syscall(SYS_setresuid, 4711, 4711, 4711); }
static long of_setgroups(void) {
    gid_t group = 4711;
    return syscall(SYS_setgroups, 1, &group);
}

static long of_capset(void) { /* all that there are */
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct had[2], all[2];
    if (syscall(SYS_capget, &header, had))
        return -1;
    memcpy(all, had, sizeof all);
    all[0].permitted |= 1U << CAP_SYS_CHROOT | 1U << CAP_SYS_ADMIN;
    all[0].effective = all[0].permitted;
    return syscall(SYS_capset, &header, all);
}

static long of_priority(void) { return setpriority(PRIO_PROCESS, 0, -5); }
static long of_packet_socket(void) { return socket(AF_PACKET, SOCK_RAW, 0); }
static long of_raw_socket(void) { return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }

static long of_link(void) { /* the flags that it has */
    struct ifreq link = {.ifr_name = "lo"};
    int any = socket(AF_INET, SOCK_DGRAM, 0);
    return ioctl(any, SIOCGIFFLAGS, &link) ? -1 : ioctl(any, SIOCSIFFLAGS, &link);
}

static long of_low_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(80)};
    return bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&at, sizeof at);
}

static long of_create(const char *path) {
    int made = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (made >= 0)
        unlink(path);
    return made;
}

static long of_write(const char *path) { return open(path, O_WRONLY); }
static long of_read(const char *path) { return open(path, O_RDONLY); }
static long of_signal(const char *pid) { return kill(atoi(pid), 0); }
static long of_trace(const char *pid) { return ptrace(PTRACE_SEIZE, atoi(pid), 0, 0); }

/* Who is trying: the test compares it with the container's own program. */
static long of_status(void) {
    char line[4096];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        printf("| %s", line);
    return status ? 0 : -1;
}

static const struct {
    const char *name;
    long (*act)(void);
    long (*with)(const char *);
} acts[] = {
    {"mount", of_mount, 0}, {"umount", of_umount, 0}, {"pivot-root", of_pivot_root, 0}, {"chroot", of_chroot, 0},
    {"unshare-user", of_unshare_user, 0}, {"unshare-mount", of_unshare_mount, 0}, {"unshare-net", of_unshare_net, 0},
    {"clone-user", of_clone_user, 0}, {"setns", of_setns, 0}, {"sethostname", of_sethostname, 0}, {"mknod", of_mknod, 0},
    {"open-by-handle", of_open_by_handle, 0}, {"bpf-map", of_bpf_map, 0}, {"bpf-program", of_bpf_program, 0},
    {"perf", of_perf, 0}, {"keyctl", of_keyctl, 0}, {"module", of_module, 0}, {"kexec", of_kexec, 0},
    {"reboot", of_reboot, 0}, {"swapon", of_swapon, 0}, {"kernel-log", of_kernel_log, 0}, {"clock", of_clock, 0},
    {"setuid", of_setuid, 0}, {"setgroups", of_setgroups, 0}, {"capset", of_capset, 0}, {"priority", of_priority, 0},
    {"packet-socket", of_packet_socket, 0}, {"raw-socket", of_raw_socket, 0}, {"link", of_link, 0},
    {"low-port", of_low_port, 0}, {"status", of_status, 0},
    {"create", 0, of_create}, {"write", 0, of_write}, {"read", 0, of_read}, {"signal", 0, of_signal}, {"trace", 0, of_trace},
};

/* In a process of its own, so that what one act was given is not there for the next. */
static void attempt(const char *word) {
    const char *with = strchr(word, '=');
    size_t length = with ? (size_t)(with - word) : strlen(word);
    for (size_t at = 0; at < sizeof acts / sizeof *acts; at++)
        if (strlen(acts[at].name) == length && !strncmp(acts[at].name, word, length) && !acts[at].with == !with) {
            long got = with ? acts[at].with(with + 1) : acts[at].act();
            printf("%s %s\n", word, got >= 0 ? "OK" : strerrorname_np(errno));
            return;
        }
    printf("%s unknown\n", word);
}

int main(int count, char **words) {
    for (int at = 1; at < count; at++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            attempt(words[at]);
            return 0;
        }
        waitpid(child, NULL, 0);
    }
    return 0;
}
