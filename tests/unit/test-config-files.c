/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which files count, which are refused, and what stays when one of them goes bad. */

#include "config-root.h"
#include "config/load.h"

#include <sys/socket.h>
#include <sys/un.h>

#define ETC "etc/vfiod/devices.d/"
#define RUN "run/vfiod/devices.d/"
#define LOCAL "usr/local/lib/vfiod/devices.d/"
#define USR "usr/lib/vfiod/devices.d/"
#define GOOD "[Match]\nAddress=41:00.0\n[Device]\nDriver=vfio\n"
#define BAD "[Match]\nAddress=41:00.0\n[Device]\nAccept=boot\n"

static void write_rule(const TestRoot *root, const char *path, const char *driver)
{
        g_autofree char *text =
                g_strdup_printf("[Match]\nAddress=41:00.0\n[Device]\nDriver=%s\n", driver);

        root_write(root, path, text);
}

static const char *driver_of(const Config *c, const char *name)
{
        const Rule *rule = config_find_rule(c, name);

        return rule ? strempty(rule->driver) : NULL;
}

/* A file that stands among good ones is refused with this message, and only it. */
static void assert_refused(const TestRoot *root, const char *path, const char *message)
{
        _cleanup_(config_freep) Config *c = load(root);

        assert_said(c, root, path, true, message);
        g_assert_cmpuint(c->n_diagnostics, ==, 1);
        g_assert_true(strv_contains(c->broken, strrchr(path, '/') + 1));
        g_assert_cmpuint(strv_length(c->broken), ==, 1);
        g_assert_cmpuint(c->n_rules, ==, 1);
        g_assert_cmpstr(c->rules[0]->name, ==, "90-good.conf");
}

static void test_no_directories_mean_no_rules(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *c = load(root);

        g_assert_cmpuint(c->n_rules, ==, 0);
        g_assert_cmpuint(c->n_diagnostics, ==, 0);
        g_assert_false(c->disabled);
        g_assert_true(strv_contains(c->daemon.allowed_drivers, "vfio-pci"));
}

static void test_the_highest_directory_wins_and_names_sort(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *c = NULL;
        g_autofree char *path = root_path(root, ETC "30-a.conf");

        write_rule(root, USR "30-a.conf", "usr");
        write_rule(root, LOCAL "30-a.conf", "local");
        write_rule(root, RUN "30-a.conf", "run");
        write_rule(root, ETC "30-a.conf", "etc");
        write_rule(root, USR "20-b.conf", "usr");
        write_rule(root, LOCAL "20-b.conf", "local");
        write_rule(root, RUN "20-b.conf", "run");
        write_rule(root, USR "40-c.conf", "usr");
        write_rule(root, LOCAL "40-c.conf", "local");
        write_rule(root, USR "10-d.conf", "usr");
        c = load(root);
        g_assert_cmpuint(c->n_diagnostics, ==, 0);
        g_assert_cmpuint(c->n_rules, ==, 4);
        g_assert_cmpstr(c->rules[0]->driver, ==, "usr");
        g_assert_cmpstr(c->rules[1]->driver, ==, "run");
        g_assert_cmpstr(c->rules[2]->driver, ==, "etc");
        g_assert_cmpstr(c->rules[3]->driver, ==, "local");
        g_assert_cmpstr(c->rules[2]->path, ==, path);
}

static void test_an_empty_file_or_a_null_link_masks(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *c = NULL;

        write_rule(root, USR "10-a.conf", "usr");
        write_rule(root, USR "20-b.conf", "usr");
        write_rule(root, USR "30-c.conf", "usr");
        write_rule(root, RUN "30-c.conf", "run");
        root_write(root, ETC "10-a.conf", "");
        make_link(root, "/dev/null", ETC "20-b.conf");
        make_link(root, "/dev/null", LOCAL "30-c.conf");
        write_rule(root, ETC "20-b.conf.d/x.conf", "unused");
        c = load(root);
        g_assert_cmpuint(c->n_diagnostics, ==, 0);
        g_assert_cmpuint(c->n_rules, ==, 1);
        g_assert_cmpstr(driver_of(c, "30-c.conf"), ==, "run");
        g_assert_null(c->broken);
}

static void test_other_names_are_ignored(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *c = NULL;

        root_write(root, ETC "10-a.conf~", BAD);
        root_write(root, ETC ".10-a.conf", BAD);
        root_write(root, ETC "10-a.conf.dpkg-new", BAD);
        root_write(root, ETC "README", BAD);
        root_write(root, ETC "10-orphan.conf.d/x.conf", BAD);
        c = load(root);
        g_assert_cmpuint(c->n_diagnostics, ==, 0);
        g_assert_cmpuint(c->n_rules, ==, 0);
}

static void test_drop_ins_refine_the_file_in_the_order_of_their_names(TestRoot *root,
                                                                      const void *data)
{
        _cleanup_(config_freep) Config *c = NULL;

        write_rule(root, USR "10-a.conf", "usr");
        root_write(root, ETC "10-a.conf.d/20-x.conf", "[Device]\nDriver=second\n");
        root_write(root, RUN "10-a.conf.d/10-y.conf", "[Device]\nDriver=first\nGroup=strict\n");
        root_write(root, USR "10-a.conf.d/20-x.conf", "[Device]\nDriver=hidden\nAccept=swap\n");
        root_write(root, USR "10-a.conf.d/30-z.conf", "[Match]\nAddress=42:00.0\n");
        root_write(root, USR "10-a.conf.d/40-m.conf", "[Device]\nDriver=masked\n");
        make_link(root, "/dev/null", ETC "10-a.conf.d/40-m.conf");
        c = load(root);
        g_assert_cmpuint(c->n_diagnostics, ==, 0);
        g_assert_cmpstr(driver_of(c, "10-a.conf"), ==, "second");
        g_assert_cmpint(c->rules[0]->group_policy, ==, GROUP_STRICT);
        g_assert_cmpuint(c->rules[0]->accept, ==, 0);
        g_assert_cmpuint(strv_length(c->rules[0]->match.patterns[MATCH_ADDRESS]), ==, 2);
}

static void test_a_drop_in_in_error_makes_the_whole_rule_one(TestRoot *root, const void *data)
{
        const Diagnostic *d;

        root_write(root, ETC "90-good.conf", GOOD);
        root_write(root, ETC "10-a.conf", GOOD);
        root_write(root, RUN "10-a.conf.d/x.conf", "[Device]\n\nAccept=boot\n");
        {
                _cleanup_(config_freep) Config *c = load(root);

                d = find_diagnostic(c, root, RUN "10-a.conf.d/x.conf");
                g_assert_cmpuint(d->line, ==, 3);
                g_assert_cmpuint(d->column, ==, 8);
                g_assert_true(strv_contains(c->broken, "10-a.conf"));
                g_assert_cmpuint(c->n_rules, ==, 1);
        }
}

static void test_what_is_no_file_is_refused(TestRoot *root, const void *data)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        g_autofree char *path = root_path(root, ETC "10-a.conf");
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        root_write(root, ETC "90-good.conf", GOOD);
        g_assert_cmpint(mkdirat(root->fd, ETC "10-a.conf", 0755), ==, 0);
        assert_refused(root, ETC "10-a.conf", "is not a regular file");
        g_assert_cmpint(unlinkat(root->fd, ETC "10-a.conf", AT_REMOVEDIR), ==, 0);
        g_assert_cmpint(mkfifo(path, 0644), ==, 0);
        assert_refused(root, ETC "10-a.conf", "is not a regular file");
        g_assert_cmpint(unlinkat(root->fd, ETC "10-a.conf", 0), ==, 0);
        g_assert_cmpuint(g_strlcpy(address.sun_path, path, sizeof(address.sun_path)), <,
                         sizeof(address.sun_path));
        g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
        assert_refused(root, ETC "10-a.conf", "cannot be opened: No such device or address");
        g_assert_cmpint(unlinkat(root->fd, ETC "10-a.conf", 0), ==, 0);
        make_link(root, "nowhere", ETC "10-a.conf");
        assert_refused(root, ETC "10-a.conf", "cannot be opened: No such file or directory");
        g_assert_cmpint(unlinkat(root->fd, ETC "10-a.conf", 0), ==, 0);
        make_link(root, "10-a.conf", ETC "10-a.conf");
        assert_refused(root, ETC "10-a.conf",
                       "cannot be opened: Too many levels of symbolic links");
}

static void test_a_file_that_others_can_write_is_refused(TestRoot *root, const void *data)
{
        root_write(root, ETC "90-good.conf", GOOD);
        root_write(root, ETC "10-a.conf", GOOD);
        g_assert_cmpint(fchmodat(root->fd, ETC "10-a.conf", 0666, 0), ==, 0);
        assert_refused(root, ETC "10-a.conf", "can be written by others: chmod go-w");
        g_assert_cmpint(fchmodat(root->fd, ETC "10-a.conf", 0664, 0), ==, 0);
        assert_refused(root, ETC "10-a.conf", "can be written by others: chmod go-w");
        if (geteuid() != 0) {
                g_test_skip("only root can give a file away");
                return;
        }
        g_assert_cmpint(fchmodat(root->fd, ETC "10-a.conf", 0644, 0), ==, 0);
        g_assert_cmpint(fchownat(root->fd, ETC "10-a.conf", 1000, 0, 0), ==, 0);
        assert_refused(root, ETC "10-a.conf", "does not belong to root: chown root");
}

static void test_a_link_to_a_regular_file_is_followed(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *c = NULL;

        write_rule(root, "srv/card", "linked");
        make_link(root, "../../../srv/card", ETC "10-a.conf");
        c = load(root);
        g_assert_cmpuint(c->n_diagnostics, ==, 0);
        g_assert_cmpstr(driver_of(c, "10-a.conf"), ==, "linked");
}

static void test_a_huge_file_is_refused(TestRoot *root, const void *data)
{
        root_write(root, ETC "90-good.conf", GOOD);
        root_write(root, ETC "10-a.conf", GOOD);
        {
                g_autofree char *path = root_path(root, ETC "10-a.conf");

                g_assert_cmpint(truncate(path, (off_t)1 << 40), ==, 0);
        }
        assert_refused(root, ETC "10-a.conf", "cannot be read: File too large");
}

static void test_a_bad_file_keeps_its_last_good_content(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *first = NULL, *second = NULL, *third = NULL, *fourth = NULL;

        write_rule(root, ETC "10-a.conf", "good");
        first = load(root);
        root_write(root, ETC "10-a.conf", BAD "Group=x\n");
        second = load_after(root, first);
        g_assert_cmpstr(driver_of(second, "10-a.conf"), ==, "good");
        g_assert_null(second->broken);
        g_assert_true(config_has_errors(second));
        assert_said(second, root, ETC "10-a.conf", true,
                    "'Accept=' cannot be 'boot': it takes names of hazards, see vfiod.devices(5)");
        g_assert_cmpstr(second->diagnostics[2].message, ==, "keeps its last good content");
        first = config_free(first);
        g_assert_cmpint(fchmodat(root->fd, ETC "10-a.conf", 0666, 0), ==, 0);
        third = load_after(root, second);
        second = config_free(second);
        g_assert_cmpstr(driver_of(third, "10-a.conf"), ==, "good");
        write_rule(root, ETC "10-a.conf", "mended");
        fourth = load_after(root, third);
        g_assert_cmpstr(driver_of(fourth, "10-a.conf"), ==, "mended");
        g_assert_cmpuint(fourth->n_diagnostics, ==, 0);
}

static void test_a_bad_drop_in_keeps_the_last_good_content(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *first = NULL, *second = NULL;

        write_rule(root, ETC "10-a.conf", "good");
        root_write(root, ETC "10-a.conf.d/x.conf", "[Device]\nDriver=better\n");
        first = load(root);
        write_rule(root, ETC "10-a.conf", "worse");
        root_write(root, ETC "10-a.conf.d/x.conf", "[Device\nDriver=better\n");
        second = load_after(root, first);
        g_assert_cmpstr(driver_of(second, "10-a.conf"), ==, "better");
        assert_said(second, root, ETC "10-a.conf.d/x.conf", true,
                    "has a section line that is not '[NAME]'");
}

static void test_a_file_that_is_gone_or_masked_is_not_kept(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *first = NULL, *second = NULL;

        root_write(root, ETC "10-a.conf", GOOD);
        root_write(root, ETC "20-b.conf", GOOD);
        root_write(root, ETC "30-c.conf", GOOD);
        first = load(root);
        g_assert_cmpint(unlinkat(root->fd, ETC "10-a.conf", 0), ==, 0);
        root_write(root, ETC "20-b.conf", "");
        second = load_after(root, first);
        g_assert_cmpuint(second->n_rules, ==, 1);
        g_assert_cmpstr(second->rules[0]->name, ==, "30-c.conf");
}

static void test_a_directory_that_cannot_be_read_releases_nothing(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *first = NULL, *second = NULL;

        root_write(root, ETC "10-a.conf", GOOD);
        root_write(root, USR "20-b.conf", GOOD);
        first = load(root);
        g_assert_cmpint(renameat(root->fd, "etc/vfiod/devices.d", root->fd, "etc/moved"), ==, 0);
        root_write(root, "etc/vfiod/devices.d", "no directory");
        second = load_after(root, first);
        g_assert_cmpuint(second->n_rules, ==, 2);
        assert_said(second, root, ETC, true, "cannot be read: Not a directory");
}

static void test_a_name_that_is_no_text_is_an_error(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *c = NULL;

        root_write(root, ETC "10-\xff.conf", GOOD);
        c = load(root);
        g_assert_cmpuint(c->n_rules, ==, 0);
        assert_said(c, root, ETC, true, "has a file whose name is no UTF-8 text");
}

static void test_settings_come_from_the_file_and_its_drop_ins(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *c = NULL;

        root_write(root, "usr/lib/vfiod/vfiod.conf", "[Daemon]\nMaxJobsPerUser=2\n");
        root_write(root, "etc/vfiod/vfiod.conf", "[Daemon]\nMaxWorkers=2\nRetryMaxSec=1min\n");
        root_write(root, "usr/lib/vfiod/vfiod.conf.d/10.conf", "[Daemon]\nMaxWorkers=3\n");
        root_write(root, "run/vfiod/vfiod.conf.d/10.conf", "[Daemon]\nMaxWorkers=5\n");
        c = load(root);
        g_assert_cmpuint(c->n_diagnostics, ==, 0);
        g_assert_cmpuint(c->daemon.max_workers, ==, 5);
        g_assert_cmpuint(c->daemon.max_jobs_per_user, ==, 16);
        g_assert_cmpuint(c->daemon.retry_max_usec, ==, 60 * USEC_PER_SEC);
}

static void test_a_masked_settings_file_hides_the_lower_one(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *c = NULL;

        root_write(root, "usr/lib/vfiod/vfiod.conf", "[Daemon]\nMaxWorkers=2\n");
        make_link(root, "/dev/null", "etc/vfiod/vfiod.conf");
        c = load(root);
        g_assert_cmpuint(c->daemon.max_workers, ==, 4);
        g_assert_cmpuint(c->n_diagnostics, ==, 0);
}

static void test_settings_in_error_stay_as_they_were(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *first = NULL, *second = NULL, *fresh = NULL;

        root_write(root, "etc/vfiod/vfiod.conf", "[Daemon]\nMaxWorkers=2\n");
        first = load(root);
        root_write(root, "etc/vfiod/vfiod.conf", "[Daemon]\nMaxWorkers=8\n");
        root_write(root, "etc/vfiod/vfiod.conf.d/x.conf", "[Daemon]\nMaxJobsPerUser=0\n");
        second = load_after(root, first);
        g_assert_cmpuint(second->daemon.max_workers, ==, 2);
        assert_said(second, root, "etc/vfiod/vfiod.conf.d/x.conf", true,
                    "'MaxJobsPerUser=' cannot be '0': it takes a number from 1 to 1024");
        fresh = load(root);
        g_assert_cmpuint(fresh->daemon.max_workers, ==, 8);
        g_assert_cmpuint(fresh->daemon.max_jobs_per_user, ==, 16);
}

static void test_the_kernel_command_line_switches_off(TestRoot *root, const void *data)
{
        static const struct {
                const char *text;
                bool disabled;
        } lines[] = {
                { "quiet vfiod=off\n", true },
                { "vfiod=0", true },
                { "vfiod=off vfiod=on\n", false },
                { "foo.vfiod=off xvfiod=off vfiod=offer\n", false },
                { "\n", false },
                { "", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                _cleanup_(config_freep) Config *c = NULL;

                root_write(root, "proc/cmdline", lines[i].text);
                c = load(root);
                g_assert_cmpint(c->disabled, ==, lines[i].disabled);
        }
}

static void test_the_kernel_command_line_leaves_files_out(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *c = NULL;

        root_write(root, "proc/cmdline",
                   "quiet vfiod.skip=10-a.conf,20-b.conf ro vfiod.skip=30-c.conf\n");
        root_write(root, ETC "10-a.conf", GOOD);
        root_write(root, ETC "20-b.conf", BAD);
        root_write(root, ETC "30-c.conf", GOOD);
        root_write(root, ETC "30-cd.conf", GOOD);
        c = load(root);
        g_assert_false(c->disabled);
        g_assert_cmpuint(c->n_rules, ==, 1);
        g_assert_cmpstr(c->rules[0]->name, ==, "30-cd.conf");
        g_assert_null(c->broken);
        g_assert_cmpuint(strv_length(c->skipped), ==, 3);
        g_assert_cmpuint(c->n_diagnostics, ==, 3);
        g_assert_false(config_has_errors(c));
        assert_said(c, root, ETC "20-b.conf", false,
                    "left out by vfiod.skip= on the kernel command line");
}

static void test_a_directory_with_too_many_files_is_refused_whole(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *c = NULL;

        root_write(root, ETC "0.conf", GOOD);
        root_write(root, USR "1.conf", GOOD);
        for (unsigned i = 0; i < CONFIG_FILES_MAX; i++) {
                g_autofree char *path = g_strdup_printf(ETC "x%u.conf", i);

                g_assert_cmpint(linkat(root->fd, ETC "0.conf", root->fd, path, 0), ==, 0);
        }
        c = load(root);
        g_assert_cmpuint(c->n_rules, ==, 1);
        assert_said(c, root, ETC, true, "cannot be read: Argument list too long");
}

static void test_check_reads_only_the_files_given(TestRoot *root, const void *data)
{
        _cleanup_(config_freep) Config *c = NULL;
        g_auto(GStrv) paths = g_new0(char *, 7);

        root_write(root, ETC "10-unread.conf", BAD);
        root_write(root, "a/20-good.conf", GOOD "[Access]\nOwner=qemu\n");
        root_write(root, "a/30-bad.conf", BAD);
        root_write(root, "a/vfiod.conf", "[Daemon]\nMaxWorkers=2\n");
        root_write(root, "vfiod.conf.d/x.conf", "[Daemon]\nMaxJobsPerUser=3\n");
        root_write(root, "20-good.conf.d/y.conf", "[Device]\nGroup=strict\n");
        paths[0] = root_path(root, "a/20-good.conf");
        paths[1] = root_path(root, "a/30-bad.conf");
        paths[2] = root_path(root, "a/vfiod.conf");
        paths[3] = root_path(root, "vfiod.conf.d/x.conf");
        paths[4] = root_path(root, "20-good.conf.d/y.conf");
        paths[5] = root_path(root, "missing.conf");
        g_assert_cmpint(config_check_files(root->fd, paths, &c), ==, 0);
        g_assert_cmpuint(c->n_rules, ==, 1);
        g_assert_cmpuint(c->rules[0]->access.uid, ==, 64055);
        g_assert_cmpuint(c->daemon.max_workers, ==, 2);
        g_assert_cmpuint(c->daemon.max_jobs_per_user, ==, 3);
        g_assert_cmpuint(c->n_diagnostics, ==, 2);
        g_assert_cmpuint(find_diagnostic(c, root, "a/30-bad.conf")->line, ==, 4);
        g_assert_cmpuint(find_diagnostic(c, root, "a/30-bad.conf")->column, ==, 8);
        assert_said(c, root, "missing.conf", true, "cannot be opened: No such file or directory");
}

static void fixture_init(TestRoot *root, const void *data)
{
        root_init(root);
}

static void fixture_done(TestRoot *root, const void *data)
{
        root_done(root);
}

#define ADD(name) \
        g_test_add("/config-files/" #name, TestRoot, NULL, fixture_init, test_##name, fixture_done)

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        ADD(no_directories_mean_no_rules);
        ADD(the_highest_directory_wins_and_names_sort);
        ADD(an_empty_file_or_a_null_link_masks);
        ADD(other_names_are_ignored);
        ADD(drop_ins_refine_the_file_in_the_order_of_their_names);
        ADD(a_drop_in_in_error_makes_the_whole_rule_one);
        ADD(what_is_no_file_is_refused);
        ADD(a_file_that_others_can_write_is_refused);
        ADD(a_link_to_a_regular_file_is_followed);
        ADD(a_huge_file_is_refused);
        ADD(a_bad_file_keeps_its_last_good_content);
        ADD(a_bad_drop_in_keeps_the_last_good_content);
        ADD(a_file_that_is_gone_or_masked_is_not_kept);
        ADD(a_directory_that_cannot_be_read_releases_nothing);
        ADD(a_name_that_is_no_text_is_an_error);
        ADD(settings_come_from_the_file_and_its_drop_ins);
        ADD(a_masked_settings_file_hides_the_lower_one);
        ADD(settings_in_error_stay_as_they_were);
        ADD(the_kernel_command_line_switches_off);
        ADD(the_kernel_command_line_leaves_files_out);
        ADD(a_directory_with_too_many_files_is_refused_whole);
        ADD(check_reads_only_the_files_given);
        return g_test_run();
}
