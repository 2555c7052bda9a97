/*
 * The binding for C++: that it says what C says, that what throws stays on its side, and that nothing is
 * freed twice or not at all. Prints what has failed, and "N passed, N failed".
 */
#include <flagver/flagver.hpp>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>

namespace
{

// ---- the smallest of frameworks

struct failed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void check_at(bool held, const char *what, int line)
{
    if (!held)
        throw failed("line " + std::to_string(line) + ": " + what);
}
#define check(condition) check_at((condition), #condition, __LINE__)

template <class Error, class Call> void throws_at(Call call, const char *what, int line)
{
    try {
        call();
    } catch (const Error &) {
        return;
    } catch (const std::exception &e) {
        throw failed("line " + std::to_string(line) + ": " + what +
                     " threw another thing: " + e.what());
    }
    throw failed("line " + std::to_string(line) + ": " + what + " threw nothing");
}
#define throws(Error, ...) throws_at<Error>([&] { __VA_ARGS__; }, #__VA_ARGS__, __LINE__)

using invalid = flagver::failure<FLAGVER_EINVAL>;

constexpr const char *definitions = R"({"flags": {
    "on": {"type": "boolean", "percentage": 100},
    "half": {"type": "boolean", "percentage": 50},
    "text": {"type": "string", "variants": {"a": "classic", "b": "one-page"}, "default": "a",
             "rules": [{"id": "eu", "if": {"attr": "country", "op": "eq", "value": "DE"}, "serve": "b"}],
             "metadata": {"owner": "shop"}},
    "number": {"type": "integer", "variants": {"a": 7}, "default": "a"},
    "real": {"type": "double", "variants": {"a": 2.5}, "default": "a"},
    "json": {"type": "json", "variants": {"a": {"rows": [1, 2]}}, "default": "a"},
    "early": {"type": "boolean", "schedule": {"steps": [{"at": "2030-01-01T00:00:00Z", "percentage": 100}]}},
    "member": {"type": "boolean", "rules": [
        {"if": {"all": [{"attr": "groups", "op": "eq", "value": "staff"},
                        {"attr": "device.os", "op": "eq", "value": "linux"},
                        {"attr": "age", "op": "gte", "value": 18},
                        {"attr": "score", "op": "gt", "value": 0.5},
                        {"attr": "vip", "op": "eq", "value": true},
                        {"attr": "since", "op": "before", "value": "2026-01-01T00:00:00Z"},
                        {"attr": "gone", "op": "exists", "value": false}]}, "serve": "on"}]}}})";

flagver::client loaded(flagver::options options = {})
{
    options.background = false;
    flagver::client flags("definitions:", options);
    flags.load(definitions);
    return flags;
}

flagver::client in_memory(flagver::options options = {})
{
    flagver::client flags("memory:", options);
    flags.transact("alice", [](flagver::transaction &t) {
        t.put_flag("on", R"({"type": "boolean", "percentage": 100})");
        t.put(FLAGVER_PHASE_PHASE, "report", R"({"approval": {"rule": "anyone"}})");
    });
    flags.refresh();
    return flags;
}

/* A store that other processes can open. */
struct place {
    std::string directory;

    place()
    {
        char name[] = "/tmp/flagver-cpp-XXXXXX";
        check(mkdtemp(name) != nullptr);
        directory = name;
    }
    ~place()
    {
        const std::string command = "rm -rf " + directory;
        if (std::system(command.c_str()) != 0)
            std::fprintf(stderr, "%s is left\n", directory.c_str());
    }
    std::string uri() const
    {
        return "sqlite:" + directory + "/store";
    }
};

// ---- evaluation

void flags_of_every_type_are_evaluated()
{
    const flagver::client flags = loaded();
    const flagver::context bob("bob");

    check(flags.boolean("on", bob, false));
    check(flags.integer("number", bob, 1) == 7);
    check(flags.real("real", nullptr, 1.0) == 2.5);
    check(flags.string("text", bob, "none") == "classic");
    check(std::string(flags.c_string("text", bob, "none")) == "classic");
    check(flags.json("json", bob, "none") == R"({"rows":[1,2]})");
    check(flags.evaluate("number", bob).value() == flagver::served(int64_t{ 7 }));
}

void what_has_no_answer_gives_the_default()
{
    const flagver::client flags = loaded();
    const flagver::context bob("bob");

    check(flags.boolean("nowhere", bob, true));
    check(flags.integer("text", bob, 5) == 5);
    check(flags.real("on", bob, 0.5) == 0.5);
    check(flags.c_string("number", bob, nullptr) == nullptr);
    check(!flags.boolean("half", nullptr, false));
    check(flags.evaluate("half", nullptr).error() == FLAGVER_ERROR_TARGETING_KEY_MISSING);
}

void a_detail_says_how_it_went()
{
    const flagver::client flags = loaded();
    flagver::context user("bob");
    user.set("country", "DE");

    const flagver::detail d = flags.evaluate("text", user, flagver::type::string);
    check(d.flag() == "text" && d.variant() == "b" && d.rule() == "eu" && !d.error_name());
    check(d.reason() == FLAGVER_REASON_TARGETING_MATCH &&
          std::string(d.reason_name()) == "TARGETING_MATCH");
    check(d.metadata() == R"({"owner":"shop"})" && !d.bucket());
    check(std::get<std::string_view>(d.value()) == "one-page");
    check(d.json().find(R"("ruleId":"eu")") != std::string::npos);

    const flagver::detail wrong = flags.evaluate("text", user, flagver::type::boolean);
    check(wrong.error_name() == "TYPE_MISMATCH" && !wrong.variant());
    check(std::holds_alternative<std::monostate>(wrong.value()));
    check(flags.evaluate("half", user).bucket() >= 0);
    check(flags.explain("text", user).find("steps") != std::string::npos);
}

void a_bound_flag_survives_changes()
{
    flagver::client flags = loaded();
    const flagver::context bob("bob");
    const flagver::bound on = flags.bind("on"), text = flags.bind("text");

    check(on.boolean(bob, false) && text.string(bob, "") == "classic");
    check(flags.bind("number").integer(bob, 0) == 7 && flags.bind("real").real(bob, 0) == 2.5);
    check(flags.bind("json").json(bob, "") == R"({"rows":[1,2]})");
    const flagver::snapshot before = flags.snapshot();
    flags.merge(R"({"flags": {"on": null}})");
    check(before.changes(flags.snapshot()) == std::vector<std::string>({ "on" }));
    throws(invalid, before.changes(flagver::snapshot::load("{}")));
    check(!on.boolean(bob, false) && on.evaluate(bob).error() == FLAGVER_ERROR_FLAG_NOT_FOUND);
    flags.merge(R"({"flags": {"on": {"type": "boolean", "percentage": 0}}})");
    check(!on.boolean(bob, true));
    throws(invalid, flags.bind(""));
}

void a_snapshot_outlives_its_client()
{
    auto flags = std::make_unique<flagver::client>(loaded());
    const flagver::snapshot then = flags->snapshot();
    const flagver::context bob("bob");

    flags.reset();
    check(then.size() == 8 && then.boolean("on", bob, false));
    check(then.integer("number", bob, 0) == 7 && then.real("real", bob, 0) == 2.5);
    check(then.string("text", bob, "") == "classic" &&
          then.json("json", bob, "") == R"({"rows":[1,2]})");
    check(then.string("nowhere", bob, "none") == "none");
    check(then.explain("on", bob).find("steps") != std::string::npos);
    throws(flagver::failure<FLAGVER_EPARSE>, flagver::snapshot::load("{"));
}

void attributes_of_every_type_are_set()
{
    const flagver::client flags = loaded();
    flagver::context user("bob");

    user.set("groups", { "guests", "staff" }).set("age", 18).set("score", 0.75f).set("vip", true);
    user.set("since", std::chrono::system_clock::from_time_t(1700000000)).set("gone", nullptr);
    user.begin_object("device").set("os", std::string("linux")).end();
    check(flags.boolean("member", user, false));

    user.set("groups", std::vector<std::string>{ "guests" });
    check(!flags.boolean("member", user, true));
    user.set("groups", std::vector<std::string_view>{ "staff" });
    check(flags.boolean("member", user, false));
    user.reset("carol");
    check(!flags.boolean("member", user, true));
    check(flags.boolean("on", flagver::context::from_json(R"({"targetingKey": "x"})"), false));
}

void what_no_context_takes_is_refused()
{
    flagver::context user;

    throws(invalid, user.set("", 1));
    throws(invalid, user.set("targetingKey", "bob"));
    throws(invalid, user.set(std::string(256, 'x'), 1));
    throws(invalid, user.end());
    throws(flagver::failure<FLAGVER_EPARSE>, flagver::context::from_json("[]"));
    throws(flagver::mistake, flagver::context::from_json("[]"));
}

void a_forced_flag_serves_its_variant_and_is_counted()
{
    flagver::client flags = loaded();
    std::map<std::string, uint64_t> counted;
    std::size_t visited = 0;

    flags.force("text", "b");
    check(flags.string("text", nullptr, "") == "one-page");
    flags.force("text", nullptr);
    check(flags.string("text", nullptr, "") == "classic");
    throws(flagver::failure<FLAGVER_ENOTFOUND>, flags.force("text", "c"));
    flags.counts([&](const char *flag, const char *variant, uint64_t count) {
        counted[std::string(flag) + "/" + (variant ? variant : "-")] = count;
    });
    check(counted["text/a"] == 1 && counted["text/b"] == 1);
    check(flags.evaluate_all(nullptr, [&](const flagver_detail &) { return ++visited < 3; }) == 3);
    throws(std::logic_error, flags.evaluate_all(nullptr, [](const flagver_detail &) {
        throw std::logic_error("enough");
    }));
}

void the_clock_is_the_hosts_and_may_throw()
{
    flagver::options options;
    bool broken = false;

    options.clock = [&]() -> flagver::moment {
        if (broken)
            throw std::runtime_error("the clock is broken");
        return flagver::moment(std::chrono::hours(24 * 365 * 70)); // in the year 2039
    };
    const flagver::client flags = loaded(options);
    check(flags.boolean("early", flagver::context("bob"), false));
    broken = true;
    flags.boolean("early", flagver::context("bob"), false);
}

void memory_stays_flat()
{
    const flagver::client flags = loaded();
    flagver::context user("bob");
    const flagver::bound text = flags.bind("text");
    struct rusage before, after;
    long found = 0;
#if defined(__SANITIZE_ADDRESS__)
    const int rounds = 100000;
#else
    const int rounds = 10000000;
#endif

    for (int i = 0; i < rounds; i++) {
        if (i == rounds / 10)
            getrusage(RUSAGE_SELF, &before);
        if (i % 1000 == 0)
            user.reset("bob").set("country", i % 2000 ? "DE" : "FR");
        found += flags.boolean("on", user, false) + (text.c_string(user, nullptr) != nullptr);
        found += flags.evaluate("half", user).error();
    }
    getrusage(RUSAGE_SELF, &after);
    check(found == 2L * rounds);
    check(after.ru_maxrss - before.ru_maxrss < 1024); // KiB
}

// ---- errors

template <int Code> void is_thrown_as(int class_)
{
    flagver_error e{};
    e.code = Code;
    try {
        flagver::raise(e);
    } catch (const flagver::failure<Code> &f) {
        check(f.code() == Code && std::string(f.name()) == flagver_error_name(Code));
        check((dynamic_cast<const flagver::mistake *>(&f) != nullptr) ==
              (class_ == FLAGVER_CLASS_MISTAKE));
        check((dynamic_cast<const flagver::retry *>(&f) != nullptr) ==
              (class_ == FLAGVER_CLASS_RETRY));
        check((dynamic_cast<const flagver::unknown *>(&f) != nullptr) ==
              (class_ == FLAGVER_CLASS_UNKNOWN));
        check((dynamic_cast<const flagver::broken *>(&f) != nullptr) ==
              (class_ == FLAGVER_CLASS_BROKEN));
    }
}

void every_code_is_thrown_as_its_class()
{
#define ROW(name, number, class_, words) is_thrown_as<FLAGVER_##name>(FLAGVER_CLASS_##class_);
    FLAGVER_ERRORS(ROW)
#undef ROW
    flagver_error e{};
    e.code = -9999;
    throws(flagver::error, flagver::raise(e));
}

void an_error_says_where_and_why()
{
    try {
        flagver::client flags = loaded();
        flags.load("{\n  \"flags\": 5}");
        check(false);
    } catch (const flagver::failure<FLAGVER_EPARSE> &e) {
        check(std::string(e.what()).find("line 2") == 0 &&
              std::string(e.what()).find("/flags") != std::string::npos);
    }
    throws(flagver::failure<FLAGVER_EIO>, flagver::client("file:/nowhere/at/all"));
    throws(flagver::failure<FLAGVER_ENOTSUP>, flagver::client("nosuch:thing"));
    throws(flagver::failure<FLAGVER_ENOTSUP>,
           loaded().transact("a", [](flagver::transaction &) {}));
    flagver::check_version();
}

void clients_are_moved()
{
    flagver::client one = loaded(), other("definitions:");
    const flagver::bound on = one.bind("on");

    other = std::move(one);
    check(other.boolean("on", nullptr, false) && on.boolean(nullptr, false));
    flagver::client third(std::move(other));
    check(third.boolean("on", nullptr, false) &&
          third.health().find("\"ok\"") != std::string::npos);
    check(third.generation() > 0);

    // What was moved away is a mistake to use, and no more.
    check(!other.boolean("on", nullptr, false) &&
          other.c_string("text", nullptr, nullptr) == nullptr);
    throws(invalid, other.refresh());
    throws(invalid, other.transact("alice", [](flagver::transaction &) {}));
    throws(flagver::mistake, other.bind("on"));
    throws(flagver::mistake, other.current("report", "x"));
}

// ---- writing

void what_is_not_committed_is_rolled_back()
{
    flagver::client flags = in_memory();
    {
        flagver::transaction t(flags, "alice");
        check(t.ramp("on", 0) == 2);
    }
    flags.refresh();
    check(flags.boolean("on", nullptr, false));

    flagver::transaction t(flags, "alice"), moved(std::move(t));
    check(moved.ramp("on", 0, "it is slow") == 2);
    moved.commit();
    flags.refresh();
    check(!flags.boolean("on", nullptr, true));
    check((*flags.current(FLAGVER_PHASE_FLAG, "on"))->note == std::string("it is slow"));
}

void a_length_of_time_that_c_does_not_have_is_its_longest()
{
    flagver::client flags = in_memory();
    flagver::transaction_options options;

    options.timeout = std::chrono::milliseconds((int64_t{ 1 } << 32) + 1); // cut off it would be 1
    flagver::transaction t(flags, "alice", options);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    t.ramp("on", 50);
    t.commit();
}

void a_function_runs_in_a_transaction()
{
    flagver::client flags = in_memory();
    const flagver::actor alice("alice", { "Tester" });
    int runs = 0;

    check(flags.transact(alice, [](flagver::transaction &t) { return t.disable("on"); }) == 2);
    throws(std::domain_error, flags.transact(alice, [](flagver::transaction &t) {
        t.enable("on");
        throw std::domain_error("changed my mind");
    }));
    throws(flagver::failure<FLAGVER_ENOTFOUND>,
           flags.transact(alice, [](flagver::transaction &t) { t.enable("nowhere"); }));
    throws(invalid, flags.transact(alice, [](flagver::transaction &t) { t.commit(); }));
    flags.transact(alice, [&](flagver::transaction &t) {
        t.enable("on");
        if (++runs < 3)
            throw flagver::failure<FLAGVER_EBUSY>(FLAGVER_EBUSY, "again");
    });
    check(runs == 3 && flags.current(FLAGVER_PHASE_FLAG, "on")->no() == 3);
}

void a_transaction_is_repeated_under_its_key()
{
    flagver::client flags = in_memory();
    flagver::transaction_options once;
    once.idempotency_key = "deploy-7";
    const auto ramp = [](flagver::transaction &t) { return t.ramp("on", 30); };

    check(flags.transact("alice", ramp, once) == 2);
    check(flags.transact("alice", ramp, once) == 2);
    throws(flagver::failure<FLAGVER_EIDEM>,
           flags.transact(
               "alice", [](flagver::transaction &t) { t.ramp("on", 40); }, once));
    check(flags.current(FLAGVER_PHASE_FLAG, "on")->no() == 2);
}

void flags_are_changed_in_every_way()
{
    flagver::client flags = in_memory();

    flags.transact("alice", [](flagver::transaction &t) {
        t.put_segment("staff", R"({"include": ["bob"]})");
        t.ramp("on", 25);
        t.add_beta("on", { "bob", "carol" });
        t.remove_beta("on", { "carol" });
        t.schedule("on", R"({"steps": [{"at": "2026-01-01T00:00:00Z", "percentage": 10}]})");
        t.schedule("on", std::nullopt);
        t.release("on");
        t.revert_flag("on", 1);
        t.put_segment("staff", "{}");
        t.revert_segment("staff", 1);
        t.delete_segment("staff");
    });
    check(flags.current(FLAGVER_PHASE_FLAG, "on")->no() == 8);
    check(flags.diff(FLAGVER_PHASE_FLAG, "on", 1, 2).find("25") != std::string::npos);

    const std::string file = R"({"flags": {"other": {"type": "boolean", "percentage": 5}}})";
    std::vector<std::string> steps;
    check(flags.plan(file, true, [&](const flagver_plan_step &s) { steps.push_back(s.key); }) == 2);
    check(flags.transact("alice", [&](flagver::transaction &t) { return t.apply(file, true); }) ==
          2);
    check(flags.export_flags().find("other") != std::string::npos);
    flags.transact("alice", [](flagver::transaction &t) { t.delete_flag("other", "not needed"); });
    check(!flags.current(FLAGVER_PHASE_FLAG, "other"));
}

void records_go_through_approval()
{
    flagver::client flags = in_memory();
    const char *phase = "report", *subject = "cycle-7";

    const uint32_t no = flags.transact("alice", [&](flagver::transaction &t) {
        const flagver::version draft = t.create(phase, subject, R"({"pages": 1})");
        t.edit(phase, subject, draft.no(), R"({"pages": 2})");
        t.put_items(phase, subject, draft.no(), { { "intro", "1" }, { "end", "2" } });
        t.remove_items(phase, subject, draft.no(), { "end" });
        return t.submit(phase, subject, draft.no()).no();
    });
    throws(flagver::failure<FLAGVER_EFROZEN>, flags.transact("alice", [&](flagver::transaction &t) {
        t.edit(phase, subject, no, "{}");
    }));
    throws(flagver::failure<FLAGVER_ESELF>, flags.transact("alice", [&](flagver::transaction &t) {
        t.approve(phase, subject, no);
    }));

    int waiting = 0, items = 0, votes = 0;
    flags.due("bob", phase, [&](const flagver_version &) { waiting++; });
    flags.items(phase, subject, no,
                [&](const flagver_item &i) { items += std::string(i.key) == "intro"; });
    check(waiting == 1 && items == 1);

    flagver::write reviewed;
    reviewed.content_hash = flags.get_version(phase, subject, no)->content_hash();
    flags.transact("bob", [&](flagver::transaction &t) {
        t.decide_items(phase, subject, no, { "intro" }, FLAGVER_ITEM_APPROVED);
    });
    reviewed.content_hash = flags.get_version(phase, subject, no)->content_hash();
    flags.transact("bob",
                   [&](flagver::transaction &t) { t.approve(phase, subject, no, reviewed); });
    flags.votes(phase, subject, no,
                [&](const flagver_vote &v) { votes += std::string(v.actor) == "bob"; });
    check(votes == 1);

    const std::optional<flagver::version> now = flags.current(phase, subject);
    check(now && now->state() == FLAGVER_STATE_APPROVED && now->payload() == R"({"pages":2})");
    check(flags.by_id((*now)->id)->no() == no);
    check(flags.as_of(phase, subject, std::chrono::system_clock::now()).has_value());
    check(!flags.as_of(phase, subject, now->created_at()));
    check(!flags.current(phase, "nothing"));
    check(flags.policy(phase, nullptr).find("approval") != std::string::npos);

    flagver::write wrong;
    wrong.expect_no = 9;
    throws(flagver::failure<FLAGVER_ECONFLICT>,
           flags.transact("alice",
                          [&](flagver::transaction &t) { t.create(phase, subject, "{}", wrong); }));
}

void what_a_visitor_throws_comes_out()
{
    flagver::client flags = in_memory();
    int visited = 0;

    for (int i = 0; i < 3; i++)
        flags.transact("alice", [](flagver::transaction &t) { t.release("on"); });
    throws(std::out_of_range, flags.history(FLAGVER_PHASE_FLAG, "on", [&](const flagver_version &) {
        if (++visited == 2)
            throw std::out_of_range("two are enough");
    }));
    check(visited == 2);
    flags.history(FLAGVER_PHASE_FLAG, "on", [&](const flagver_version &v) { return v.no < 3; });
    flagver::list_options last;
    last.limit = 1;
    last.backwards = true;
    flags.history(
        FLAGVER_PHASE_FLAG, "on", [&](const flagver_version &v) { visited = int(v.no); }, last);
    check(visited == 4);
    flags.list(nullptr, [&](const flagver_version &) { visited++; });
    check(visited == 6);
}

void the_audit_log_is_read_and_verified()
{
    flagver::client flags = in_memory();
    std::vector<std::string> actions;

    const uint64_t next = flags.audit_log(
        0, [&](const flagver_audit_entry &e) { actions.push_back(e.action); });
    const flagver::audit_head head = flags.audit_head();
    check(next == head.size && head.size == actions.size() && head.size > 1);
    check(flags.audit_verify([](const char *) {}) == 0);
    check(flags.audit_checkpoint("example.com/log", nullptr).find("example.com/log") == 0);
    const flagver_proof proof = flags.prove_inclusion(0);
    check(flagver_audit_check_inclusion(&proof, head.root.data(), nullptr) == 0);
    check(flags.prove_consistency(1).second == head.size);
}

void ids_are_mapped()
{
    flagver::client flags = in_memory();
    std::vector<std::string> olds;

    const std::string made = flags.transact("alice", [](flagver::transaction &t) {
        t.map_id("users", "17", "a-17");
        check(t.mapped_id("users", "17") == "a-17");
        return t.new_id("users", "18");
    });
    check(flags.new_id_of("users", "18") == made && flags.old_id_of("users", "a-17") == "17");
    check(!flags.new_id_of("users", "19"));
    flags.ids("users", [&](const flagver_idmap_entry &e) { olds.push_back(e.old_id); });
    check(olds == std::vector<std::string>({ "17", "18" }));
    throws(flagver::failure<FLAGVER_EEXIST>,
           flags.transact("alice", [](flagver::transaction &t) { t.map_id("users", "17", "b"); }));
    flags.transact("alice", [](flagver::transaction &t) { t.unmap_id("users", "17"); });
    check(made == flagver::uuid_v8(FLAGVER_IDMAP_NAMESPACE, "default\x1fusers\x1f"
                                                            "18"));
    check(flagver::uuid_v5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com") ==
          "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

// ---- callbacks

void listeners_hear_of_changes_and_may_throw()
{
    std::vector<std::string> heard, logged;
    flagver::options options;
    options.background = false;
    options.log = [&](int, std::string_view message) {
        logged.emplace_back(message);
        throw 7;
    };
    flagver::client flags = in_memory(options);
    flagver::subscription itself, kept;

    itself = flags.listen([&](const std::vector<std::string_view> &) { itself.stop(); });
    kept = flags.listen([&](const std::vector<std::string_view> &keys) {
        heard.insert(heard.end(), keys.begin(), keys.end());
        throw std::runtime_error("the cache is full");
    });
    for (int i = 0; i < 2; i++) {
        flags.transact("alice", [&](flagver::transaction &t) { t.ramp("on", 10 + i); });
        flags.refresh();
    }
    check(heard == std::vector<std::string>({ "on", "on" }));
    check(logged.size() == 2 && logged[0] == "a change listener threw: the cache is full");
    kept.stop();
    flags.transact("alice", [](flagver::transaction &t) { t.ramp("on", 1); });
    flags.refresh();
    check(heard.size() == 2);
}

void a_rule_that_throws_has_denied()
{
    std::vector<std::string> logged;
    flagver::options options;
    bool fails = false;
    options.background = false;
    options.log = [&](int, std::string_view message) { logged.emplace_back(message); };
    options.authorize = [&](const flagver_actor &who, std::string_view, std::string_view,
                            std::string_view) -> int {
        if (fails)
            throw std::runtime_error("the directory is away");
        return std::string(who.id) == "mallory" ? FLAGVER_DENY : FLAGVER_ASK_RULES;
    };
    flagver::client flags = in_memory(options);
    const auto release = [](flagver::transaction &t) { t.release("on"); };

    throws(flagver::failure<FLAGVER_EDENIED>, flags.transact("mallory", release));
    flags.transact("alice", release);
    fails = true;
    throws(flagver::failure<FLAGVER_EDENIED>, flags.transact("alice", release));
    check(!logged.empty() && logged[0] == "options::authorize threw: the directory is away");
}

void keys_come_from_the_host()
{
    flagver::options options;
    bool there = true;
    options.key = [&](std::optional<std::string_view> id) {
        using found = std::optional<std::pair<std::string, std::array<uint8_t, FLAGVER_KEY_SIZE>>>;
        return there && (!id || *id == "k1") ? found({ "k1", { 1, 2, 3 } }) : found();
    };
    flagver::client flags = in_memory(options);
    flags.transact("alice", [](flagver::transaction &t) {
        t.put(FLAGVER_PHASE_PHASE, "secret",
              R"({"approval": {"required": false}, "encrypt": true})");
    });
    flags.transact("alice", [](flagver::transaction &t) { t.put("secret", "x", R"({"pin": 1})"); });
    check(flags.current("secret", "x")->payload() == R"({"pin":1})");
}

void a_hook_is_called_around_evaluations()
{
    static int called;
    flagver::options options;
    options.hook.before = [](void *, const char *, const flagver_context *) { called++; };
    options.hook.after = [](void *, const flagver_context *, const flagver_detail *d) {
        called += d->error == 0;
    };
    const flagver::client flags = loaded(options);
    flags.boolean("on", nullptr, false);
    check(called == 2);
}

// ---- tracking

void what_becomes_of_flags_is_tracked()
{
    flagver::client flags = in_memory();
    const flagver::context bob("bob");
    uint64_t failed_ones = 0, succeeded = 0, events = 0;

    check(flags.measure(flags.evaluate("on", bob), [] { return 7; }) == 7);
    throws(std::logic_error,
           flags.measure(flags.evaluate("on", bob), [] { throw std::logic_error("no"); }));
    flags.track_outcome("on", "on", true, std::chrono::milliseconds(3));
    flags.track("bought", bob, 2.5);
    flags.track("bought");
    throws(invalid, flags.track(""));
    flags.track_flush();
    flags.track_report([&](const flagver_track_group &g) {
        failed_ones += g.event ? 0 : g.failed;
        succeeded += g.event ? 0 : g.succeeded;
        events += g.event ? g.count : 0;
    });
    check(failed_ones == 2 && succeeded == 1 && events == 2);
    check(flags.track_openmetrics().find("# EOF") != std::string::npos);
    check(flags.guard("alice") == 0);
}

// ---- routes

/* A table in memory, which can be away. */
struct table {
    std::mutex lock;
    std::map<std::string, std::string> rows, operations;
    bool away = false;
    int made = 0;

    void reach()
    {
        if (away)
            throw std::runtime_error("the table is away");
    }
    flagver::side side()
    {
        flagver::side s;
        s.read = [this](const flagver::side_call &call) -> std::optional<std::string> {
            const std::lock_guard<std::mutex> held(lock);
            reach();
            const auto found = rows.find(std::string(*call.key()));
            return found == rows.end() ? std::nullopt : std::optional<std::string>(found->second);
        };
        s.write = [this](const flagver::side_call &call, std::string_view value) {
            const std::lock_guard<std::mutex> held(lock);
            reach();
            const std::string key = call.key() ? std::string(*call.key())
                                               : "made" + std::to_string(++made);
            if (!call.key()) {
                operations[std::string(call.operation_id())] = key;
                call.created(key);
            }
            rows[key] = value;
        };
        s.remove = [this](const flagver::side_call &call) {
            const std::lock_guard<std::mutex> held(lock);
            reach();
            rows.erase(std::string(*call.key()));
        };
        s.scan = [this](const flagver::side_call &, std::string_view after, uint32_t limit,
                        const flagver::rows &out) {
            const std::lock_guard<std::mutex> held(lock);
            reach();
            auto i = rows.upper_bound(std::string(after));
            for (; i != rows.end() && limit > 0; ++i, --limit)
                out.add(i->first, i->second);
            if (i == rows.end())
                out.end();
        };
        s.count = [this](const flagver::side_call &) {
            const std::lock_guard<std::mutex> held(lock);
            reach();
            return rows.size();
        };
        s.find_by_operation = [this](const flagver::side_call &call) -> std::optional<std::string> {
            const std::lock_guard<std::mutex> held(lock);
            reach();
            const auto found = operations.find(std::string(call.operation_id()));
            return found == operations.end() ? std::nullopt
                                             : std::optional<std::string>(found->second);
        };
        return s;
    }
};

struct moving {
    flagver::client flags = in_memory();
    table olds, news;
    flagver::route_options options;
    int events = 0;

    moving()
    {
        flags.transact("mia", [](flagver::transaction &t) {
            t.put(FLAGVER_PHASE_MIGRATION, "customers",
                  R"({"stage": "off", "gates": {"samples": 1}})");
        });
        options.old_side = olds.side();
        options.new_side = news.side();
        options.compare = [](std::string_view, std::string_view a, std::string_view b) {
            return a == b;
        };
        options.event = [this](const flagver_route_event &) { events++; };
    }
};

void catch_up(const flagver::route &route)
{
    for (int i = 0; i < 1000; i++) {
        const flagver_route_progress p = route.step(std::chrono::milliseconds(100));
        if (p.waiting == 0 && p.copied == 0)
            return;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    check(false);
}

void records_move_from_one_table_to_another()
{
    moving m;
    m.olds.rows = { { "c1", "Berlin" }, { "c2", "Bonn" } };
    const flagver::route route(m.flags, "customers", m.options);

    check(route.read("c1").value() == "Berlin" && !route.read("c9").value());
    route.go_to("mia", flagver::stage::dualwrite);
    const flagver::route_result moved = route.write("c1", "Rome");
    check(moved.stage() == flagver::stage::dualwrite && !moved.pending() &&
          m.news.rows["c1"] == "Rome");

    m.news.away = true;
    check(route.write("c2", "Paris").pending() && m.olds.rows["c2"] == "Paris");
    m.news.away = false;
    catch_up(route);
    check(m.news.rows["c2"] == "Paris");

    m.olds.away = true;
    try {
        route.write("c2", "Nowhere");
        check(false);
    } catch (const flagver::failure<FLAGVER_EUNAVAILABLE> &e) {
        check(std::string(e.what()).find("the table is away") != std::string::npos);
    }
    throws(flagver::retry, route.read("c1"));
    m.olds.away = false;
    catch_up(route);

    check(route.write(nullptr, "Lima").key() == "made1" && m.news.rows["made1"] == "Lima");
    route.remove("made1");
    check(m.news.rows.count("made1") == 0);
    route.go_to("mia", flagver::stage::backfill);
    catch_up(route);
    route.go_to("mia", flagver::stage::shadow);
    route.step(std::chrono::milliseconds(100));
    check(route.read("c1").consistent() == true);
    m.news.rows["c2"] = "Atlantis";
    std::vector<std::string> differ;
    const auto seen = route.verify([&](const flagver_difference &d) { differ.push_back(d.key); },
                                   true);
    check(seen.differences == 1 && seen.left_out == 0 && seen.compared >= 2);
    check(differ == std::vector<std::string>({ "c2" }) && m.news.rows["c2"] == "Paris");
    throws(std::logic_error, {
        m.news.rows["c2"] = "Atlantis";
        route.verify([](const flagver_difference &) { throw std::logic_error("seen"); });
    });
    route.roll_back("mia", "enough");
    check(route.status().find("\"off\"") != std::string::npos && m.events > 5);
}

void steps_compare_when_all_is_copied()
{
    moving m;
    std::vector<std::string> differ;

    m.olds.rows["c1"] = "Paris";
    {
        flagver::route route(m.flags, "customers", m.options);
        route.go_to("mia", flagver::stage::dualwrite);
        catch_up(route);
    }
    m.news.rows["c1"] = "Atlantis";
    m.options.verify = FLAGVER_VERIFY_REPAIR;
    m.options.difference = [&](const flagver_difference &d) { differ.push_back(d.key); };
    flagver::route route(m.flags, "customers", m.options);
    const flagver_route_progress p = route.step(std::chrono::milliseconds(10000));
    check(p.compared_so_far == 1 && p.differences == 1 && !p.verified);
    check(differ == std::vector<std::string>({ "c1" }) && m.news.rows["c1"] == "Paris");
}

void sides_may_throw_what_they_like()
{
    moving m;
    flagver::route_options options = m.options;
    options.compare = [](std::string_view, std::string_view, std::string_view) -> bool { throw 5; };
    options.event = [](const flagver_route_event &) { throw 6; };
    options.old_side.read = [](const flagver::side_call &call) -> std::optional<std::string> {
        if (call.key() == "own")
            throw flagver::failure<FLAGVER_EIO>(FLAGVER_EIO, "the disk is full");
        if (call.key() == "memory")
            throw std::bad_alloc();
        throw 42;
    };
    const flagver::route route(m.flags, "customers", options);

    throws(flagver::failure<FLAGVER_EIO>, route.read("own"));
    throws(flagver::failure<FLAGVER_ENOMEM>, route.read("memory"));
    throws(flagver::failure<FLAGVER_EUNAVAILABLE>, route.read("other"));
    throws(invalid, route.read(""));
    throws(flagver::failure<FLAGVER_ENOTFOUND>, flagver::route(m.flags, "nothing", options));
}

/** An application may throw flagver::error with a number of its own: it has failed all the same. */
void a_number_of_the_applications_own_is_no_success()
{
    flagver::client flags = in_memory();
    flagver::route_options options;

    for (const int code : { 0, 7, -9999 })
        throws(flagver::error, flags.transact("alice", [&](flagver::transaction &t) -> int {
            t.put_flag("gone", R"({"type": "boolean"})");
            throw flagver::error(code, "my own");
        }));
    check(!flags.current(FLAGVER_PHASE_FLAG, "gone"));

    options.flag = "on";
    options.default_stage = flagver::stage::off;
    options.old_side.read = [](const flagver::side_call &) -> std::optional<std::string> {
        throw flagver::error(7, "my own");
    };
    options.old_side.write = [](const flagver::side_call &, std::string_view) {
        throw flagver::error(0, "my own");
    };
    options.new_side = options.old_side;
    const flagver::route route(flags, nullptr, options);
    throws(flagver::failure<FLAGVER_EUNAVAILABLE>, route.write("key", "value"));
    throws(flagver::failure<FLAGVER_EUNAVAILABLE>, route.read("key"));
}

void a_route_by_a_flag_has_workers()
{
    flagver::client flags = loaded();
    flags.merge(
        R"({"flags": {"stage": {"type": "string", "variants": {"s": "shadow"}, "default": "s"}}})");
    table olds, news;
    olds.rows = news.rows = { { "a", "1" } };
    flagver::route_options options;
    options.flag = "stage";
    options.old_side = olds.side();
    options.new_side = news.side();
    options.workers = 2;
    options.compare = [](std::string_view, std::string_view a, std::string_view b) {
        return a == b;
    };
    flagver::route route(flags, nullptr, options);
    const flagver::context bob("bob");
    flagver::route_call call;
    call.user = &bob;

    for (int i = 0; i < 100; i++)
        check(route.read("a", call).value() == "1");
    throws(flagver::failure<FLAGVER_ENOTSUP>, route.status());
    flagver::route moved(std::move(route));
    check(moved.read("a").value() == "1");
    moved.close(std::chrono::seconds(10));
}

// ---- threads and processes

void threads_evaluate_while_others_write()
{
    flagver::client flags = in_memory();
    std::atomic<bool> stop{ false };
    std::atomic<long> wrong{ 0 };
    std::vector<std::thread> threads;
    const flagver::bound on = flags.bind("on");

    for (int i = 0; i < 3; i++)
        threads.emplace_back([&] {
            const flagver::context user("bob");
            while (!stop)
                wrong += !on.boolean(user, false) || flags.evaluate("on", user).error() != 0;
            flagver::thread_release();
        });
    for (int i = 0; i < 2; i++)
        threads.emplace_back([&, i] {
            const flagver::actor who("writer" + std::to_string(i));
            for (int n = 0; n < 20; n++)
                flags.transact(who, [](flagver::transaction &t) { t.release("on"); });
        });
    threads[3].join();
    threads[4].join();
    stop = true;
    for (int i = 0; i < 3; i++)
        threads[std::size_t(i)].join();
    check(wrong == 0 && flags.current(FLAGVER_PHASE_FLAG, "on")->no() == 41);
}

int in_child(const std::function<bool()> &what)
{
    const pid_t child = fork();
    int status = -1;

    if (child == 0) {
        bool held = false;
        try {
            held = what();
        } catch (const std::exception &e) {
            std::fprintf(stderr, "in the child: %s\n", e.what());
        }
        _exit(held ? 0 : 1);
    }
    waitpid(child, &status, 0);
    return status;
}

void a_child_evaluates_and_opens_anew()
{
    const place p;
    flagver::client flags(p.uri());
    flags.transact("alice", [](flagver::transaction &t) {
        t.put_flag("on", R"({"type": "boolean", "percentage": 100})");
    });
    flags.refresh();

    check(in_child([&] {
              bool forked = false;
              if (!flags.boolean("on", nullptr, false))
                  return false;
              try {
                  flags.transact("bob", [](flagver::transaction &t) { t.release("on"); });
              } catch (const flagver::failure<FLAGVER_EFORKED> &) {
                  forked = true;
              }
              flags.reopen();
              return forked && flags.transact("bob", [](flagver::transaction &t) {
                  return t.release("on");
              }) == 2;
          }) == 0);
    check(flags.current(FLAGVER_PHASE_FLAG, "on")->no() == 2);
}

void tenants_share_a_store()
{
    flagver::client flags = in_memory();
    flagver::client other = flags.tenant("staging");

    other.refresh();
    check(!other.boolean("on", nullptr, false) && flags.boolean("on", nullptr, false));
    other.transact("alice",
                   [](flagver::transaction &t) { t.put_flag("on", R"({"type": "boolean"})"); });
    check(other.current(FLAGVER_PHASE_FLAG, "on")->no() == 1);
    check(flags.snapshot_at(std::chrono::system_clock::now()).boolean("on", nullptr, false));
}

} // namespace

int main()
{
    static const struct {
        const char *name;
        void (*run)();
    } tests[] = {
#define TEST(name) { #name, name }
        TEST(flags_of_every_type_are_evaluated),
        TEST(what_has_no_answer_gives_the_default),
        TEST(a_detail_says_how_it_went),
        TEST(a_bound_flag_survives_changes),
        TEST(a_snapshot_outlives_its_client),
        TEST(attributes_of_every_type_are_set),
        TEST(what_no_context_takes_is_refused),
        TEST(a_forced_flag_serves_its_variant_and_is_counted),
        TEST(the_clock_is_the_hosts_and_may_throw),
        TEST(memory_stays_flat),
        TEST(every_code_is_thrown_as_its_class),
        TEST(an_error_says_where_and_why),
        TEST(clients_are_moved),
        TEST(what_is_not_committed_is_rolled_back),
        TEST(a_length_of_time_that_c_does_not_have_is_its_longest),
        TEST(a_function_runs_in_a_transaction),
        TEST(a_transaction_is_repeated_under_its_key),
        TEST(flags_are_changed_in_every_way),
        TEST(records_go_through_approval),
        TEST(what_a_visitor_throws_comes_out),
        TEST(the_audit_log_is_read_and_verified),
        TEST(ids_are_mapped),
        TEST(listeners_hear_of_changes_and_may_throw),
        TEST(a_rule_that_throws_has_denied),
        TEST(keys_come_from_the_host),
        TEST(a_hook_is_called_around_evaluations),
        TEST(what_becomes_of_flags_is_tracked),
        TEST(records_move_from_one_table_to_another),
        TEST(steps_compare_when_all_is_copied),
        TEST(sides_may_throw_what_they_like),
        TEST(a_number_of_the_applications_own_is_no_success),
        TEST(a_route_by_a_flag_has_workers),
        TEST(threads_evaluate_while_others_write),
        TEST(a_child_evaluates_and_opens_anew),
        TEST(tenants_share_a_store),
#undef TEST
    };
    int passed = 0, bad = 0;

    for (const auto &test : tests) {
        try {
            test.run();
            passed++;
        } catch (const std::exception &e) {
            std::printf("FAILED  %s: %s\n", test.name, e.what());
            bad++;
        }
    }
    std::printf("%d passed, %d failed\n", passed, bad);
    return bad > 0;
}
