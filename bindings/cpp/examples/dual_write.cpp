/*
 * Dual write from C++: customers move from one system to another one while both are in use. One of them
 * fails for a while, and once it is all taken back; no write is lost.
 *
 * Both systems are tables in memory, which know nothing of the library. What must not be forgotten is in
 * the store of the migration. Ends with 1 if anything is not as it should be.
 */
#include <flagver/flagver.hpp>

#include <chrono>
#include <iostream>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

using namespace std::chrono_literals;

// A system. What it throws reaches who asked the route, in its own words.
class table
{
  public:
    explicit table(std::string name) : name_(std::move(name))
    {
    }
    void fail(bool down)
    {
        down_ = down;
    }
    std::string operator[](const std::string &key)
    {
        return rows_.count(key) ? rows_[key] : "nothing";
    }
    void put(const std::string &key, std::string_view city)
    {
        rows_[key] = city;
    }

    // The functions by which the route reaches it, from any thread.
    flagver::side side()
    {
        flagver::side side;
        side.read = [this](const flagver::side_call &call) -> std::optional<std::string> {
            const auto held = reach();
            const auto row = rows_.find(std::string(*call.key()));
            return row == rows_.end() ? std::nullopt : std::optional<std::string>(row->second);
        };
        side.write = [this](const flagver::side_call &call, std::string_view city) {
            const auto held = reach();
            rows_[std::string(*call.key())] = city;
        };
        side.remove = [this](const flagver::side_call &call) {
            const auto held = reach();
            rows_.erase(std::string(*call.key()));
        };
        side.scan = [this](const flagver::side_call &, std::string_view after, uint32_t limit,
                           const flagver::rows &out) {
            const auto held = reach();
            auto row = rows_.upper_bound(std::string(after));
            for (; row != rows_.end() && limit > 0; ++row, --limit)
                out.add(row->first, row->second);
            if (row == rows_.end())
                out.end();
        };
        return side;
    }

  private:
    std::unique_lock<std::mutex> reach()
    {
        std::unique_lock<std::mutex> held(lock_);
        if (down_)
            throw std::runtime_error("the " + name_ + " is down");
        return held;
    }

    std::mutex lock_;
    std::string name_;
    std::map<std::string, std::string> rows_;
    bool down_ = false;
};

static void expect(bool held, const char *what)
{
    std::cout << "    " << what << '\n';
    if (!held)
        throw std::runtime_error(std::string("that is not so: ") + what);
}

// Copies and repairs until nothing is left. Services let the route do it: route_options::background.
static void catch_up(const flagver::route &route)
{
    for (int i = 0; i < 1000; i++) {
        const flagver_route_progress progress = route.step(100ms);
        if (progress.waiting == 0 && progress.copied == 0)
            return;
        std::this_thread::sleep_for(10ms);
    }
    throw std::runtime_error("keys still wait to be repaired");
}

static void go_to(const flagver::route &route, flagver::stage stage, double percentage = 0)
{
    flagver::route_change change;
    change.percentage = percentage;
    route.step(100ms); // brings to the store what reads have shown: the gates go by that
    route.go_to("mia", stage, change);
    catch_up(route);
    std::cout << flagver::stage_name(stage) << '\n';
}

static void run()
{
    table olds("old system"), news("new system");
    for (int i = 1; i <= 50; i++)
        olds.put("c" + std::to_string(i), "Berlin");

    flagver::client store("memory:"); // a service: "sqlite:shop.db", or PostgreSQL
    store.transact("mia", [](flagver::transaction &t) {
        t.put(FLAGVER_PHASE_MIGRATION, "customers", R"({"stage": "off"})");
    });

    flagver::route_options options;
    options.old_side = olds.side();
    options.new_side = news.side();
    options.compare = [](std::string_view, std::string_view a, std::string_view b) {
        return a == b;
    };
    const flagver::route route(store, "customers", options);

    go_to(route, flagver::stage::dualwrite);
    route.write("c1", "Lisbon");
    expect(olds["c1"] == "Lisbon" && news["c1"] == "Lisbon", "c1 has moved, in both systems");

    news.fail(true);
    expect(route.write("c2", "Porto").pending(), "c2 has moved; the new system will hear of it");
    news.fail(false);
    catch_up(route);
    expect(news["c2"] == "Porto", "it has");

    olds.fail(true);
    try {
        route.write("c3", "Faro");
        expect(false, "c3 has moved");
    } catch (const flagver::retry &e) { // nothing was acknowledged, the same call may succeed later
        std::cout << "    c3 stays: " << e.what() << '\n';
    }
    olds.fail(false);
    catch_up(route);
    expect(olds["c3"] == "Berlin" && news["c3"] == "Berlin", "c3 is where it was, in both");

    go_to(route, flagver::stage::backfill);
    expect(news["c50"] == "Berlin", "those who were there before were copied");
    go_to(route, flagver::stage::shadow);
    int differed = 0;
    for (int i = 0; i < 400; i++)
        differed += route.read("c" + std::to_string(i % 50 + 1)).consistent() == false;
    expect(differed == 0, "400 reads of both systems gave the same");
    const auto seen = route.verify(
        [](const flagver_difference &d) { std::cout << "    " << d.key << " differs\n"; });
    expect(seen.compared == 50 && seen.differences == 0, "50 customers are equal in both");

    go_to(route, flagver::stage::ramp, 30);
    int from_new = 0;
    for (int i = 1; i <= 50; i++)
        from_new += route.read("c" + std::to_string(i)).side() == FLAGVER_SIDE_NEW;
    std::cout << "    " << from_new << " of 50 are read from the new system\n";

    route.roll_back("mia", "the new system is slow");
    std::cout << "taken back\n";
    route.write("c4", "Rome");
    expect(olds["c4"] == "Rome" && news["c4"] == "Berlin", "only the old system is written");
}

int main()
{
    try {
        run();
        return 0;
    } catch (const std::exception &e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
}
