/**
 * libflagver for C++17: the C interface with owners, exceptions and functions. Header-only; it is
 * linked like C, with -lflagver.
 *
 *     flagver::client flags("sqlite:flagver.db");
 *     flagver::context user("bob");
 *
 *     user.set("country", "DE");
 *     if (flags.boolean("report_setup", user, false))
 *         …
 *     flags.transact({ "alice" }, [](flagver::transaction &t) { t.ramp("report_setup", 50); });
 *
 * What a call does, and what it refuses, is written with the C function it is named after. Here:
 *
 * - Evaluation throws nothing, allocates nothing and costs what it costs in C. All else throws
 *   flagver::error, or what is derived from it by class and code.
 * - Owners are moved and not copied; each frees what it holds. A client outlives its bound flags,
 *   transactions, routes and subscriptions.
 * - std::string_view in results is borrowed: from a client until this thread's next call on it, from
 *   a snapshot or version as long as that is there, in a visitor until it returns.
 * - What a callback throws never enters the library. Of visitors, of transact()'s function and of a route's
 *   sides it comes out of the call, or is an error of the side; elsewhere it goes to options::log.
 * - Texts that are called `zstring` end with a NUL: const char * and std::string will do.
 *
 * Threads and fork: as in C (docs/threading.md).
 */
#ifndef FLAGVER_HPP
#define FLAGVER_HPP

#include <flagver.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace flagver
{

class client;
class transaction;

/**
 * A time of the system's clock, in microseconds since 1970-01-01T00:00:00Z: any in four digits of years, where
 * std::chrono::system_clock::time_point ends in 2262.
 */
class moment
{
  public:
    template <class Duration>
    moment(std::chrono::time_point<std::chrono::system_clock, Duration> time) noexcept
        : us_(std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count())
    {
    }
    explicit moment(std::chrono::microseconds since_1970) noexcept : us_(since_1970.count())
    {
    }
    std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>
    time() const noexcept
    {
        return std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>(
            std::chrono::microseconds(us_));
    }
    int64_t micros() const noexcept
    {
        return us_;
    }
    int64_t millis() const noexcept
    {
        return std::chrono::floor<std::chrono::milliseconds>(std::chrono::microseconds(us_))
            .count();
    }

  private:
    int64_t us_;
};

/** A text that ends with a NUL, borrowed. NULL only where a function says so. */
class zstring
{
  public:
    zstring(const char *text) noexcept : text_(text)
    {
    }
    zstring(const std::string &text) noexcept : text_(text.c_str())
    {
    }
    const char *c_str() const noexcept
    {
        return text_;
    }

  private:
    const char *text_;
};

// ---- errors ----

/** Any error of the library; thrown as a failure<…> of its code. */
class error : public std::runtime_error
{
  public:
    explicit error(const flagver_error &e) : std::runtime_error(e.message), error_(e)
    {
    }
    /** An error of the application's own, for instance out of a route's side. */
    error(int code, const std::string &message) : std::runtime_error(message), error_()
    {
        error_.code = code;
        message.copy(error_.message, sizeof error_.message - 1);
    }
    /** FLAGVER_E… */
    int code() const noexcept
    {
        return error_.code;
    }
    /** "ECONFLICT" */
    const char *name() const noexcept
    {
        const char *name = flagver_error_name(error_.code);
        return name ? name : "";
    }
    /** All that C has to say: place, errno, SQLSTATE. */
    const flagver_error &raw() const noexcept
    {
        return error_;
    }

  private:
    flagver_error error_;
};

/** What a caller can do about it: flagver_error_class(). */
class mistake : public error
{
    using error::error;
};
class retry : public error
{
    using error::error;
};
class unknown : public error
{
    using error::error;
};
class broken : public error
{
    using error::error;
};

namespace detail_
{

template <int Class> struct base_of;
template <> struct base_of<FLAGVER_CLASS_MISTAKE> {
    using type = mistake;
};
template <> struct base_of<FLAGVER_CLASS_RETRY> {
    using type = retry;
};
template <> struct base_of<FLAGVER_CLASS_UNKNOWN> {
    using type = unknown;
};
template <> struct base_of<FLAGVER_CLASS_BROKEN> {
    using type = broken;
};

template <int Code> struct class_of;
#define FLAGVER_HPP_CLASS(name, number, class_, words)       \
    template <> struct class_of<FLAGVER_##name> {            \
        static constexpr int value = FLAGVER_CLASS_##class_; \
    };
FLAGVER_ERRORS(FLAGVER_HPP_CLASS)
#undef FLAGVER_HPP_CLASS

} // namespace detail_

/**
 * The error of one code: `catch (const flagver::failure<FLAGVER_ECONFLICT> &)`. Derived from the class
 * that the table in flagver/base.h names.
 */
template <int Code> class failure : public detail_::base_of<detail_::class_of<Code>::value>::type
{
    using base = typename detail_::base_of<detail_::class_of<Code>::value>::type;

  public:
    using base::base;
};

/** Throws what this error is. */
[[noreturn]] inline void raise(const flagver_error &e)
{
    switch (e.code) {
#define FLAGVER_HPP_RAISE(name, number, class_, words) \
    case FLAGVER_##name:                               \
        throw failure<FLAGVER_##name>(e);
        FLAGVER_ERRORS(FLAGVER_HPP_RAISE)
#undef FLAGVER_HPP_RAISE
    default:
        throw error(e);
    }
}

namespace detail_
{

[[noreturn]] inline void refuse(int r)
{
    if (r == FLAGVER_ENOMEM)
        throw std::bad_alloc();
    flagver_error e = flagver_error();
    e.code = r;
    std::strncpy(e.message, flagver_strerror(r), sizeof e.message - 1);
    raise(e);
}

/** For calls that have no words of their own. */
inline void must(int r)
{
    if (r < 0)
        refuse(r);
}

/** A caller-owned error, and a code that is thrown if it is one. */
class attempt
{
  public:
    attempt() noexcept
    {
        error_.code = 0;
        error_.message[0] = '\0';
    }
    operator flagver_error *() noexcept
    {
        return &error_;
    }
    int check(int r) const
    {
        if (r < 0)
            fail(r);
        return r;
    }

  private:
    [[noreturn]] void fail(int r) const
    {
        if (error_.code != r)
            refuse(r);
        raise(error_);
    }

    flagver_error error_;
};

/** What the library handed out as `ret_…`. */
class owned_text
{
  public:
    owned_text() = default;
    owned_text(const owned_text &) = delete;
    owned_text &operator=(const owned_text &) = delete;
    ~owned_text()
    {
        flagver_string_free(text_);
    }
    char **out() noexcept
    {
        return &text_;
    }
    std::string str() const
    {
        return text_ ? std::string(text_) : std::string();
    }

  private:
    char *text_ = nullptr;
};

inline std::optional<std::string_view> maybe(const char *text) noexcept
{
    return text ? std::optional<std::string_view>(text) : std::nullopt;
}

inline const char *or_null(const std::string &text) noexcept
{
    return text.empty() ? nullptr : text.c_str();
}

/** A length of time as C has it: what is longer than that takes is as long as it takes, not a moment. */
inline int32_t ms(std::chrono::milliseconds time) noexcept
{
    constexpr std::chrono::milliseconds least(INT32_MIN), most(INT32_MAX);
    return static_cast<int32_t>(std::min(std::max(time, least), most).count());
}

/** Tells an exception as an error of a callback. */
inline int told(flagver_error *err, int code, const char *words) noexcept
{
    err->code = code;
    err->message[0] = '\0';
    std::strncat(err->message, words, sizeof err->message - 1);
    return code;
}

/** The exception in flight as an error: its own code, or FLAGVER_EUNAVAILABLE in its own words. */
inline int caught(flagver_error *err) noexcept
{
    try {
        throw;
    } catch (const error &e) {
        // An application may give it any number; what was thrown must not be taken for success.
        if (!flagver_error_name(e.code()))
            return told(err, FLAGVER_EUNAVAILABLE, e.what());
        *err = e.raw();
        return e.code();
    } catch (const std::bad_alloc &) {
        return told(err, FLAGVER_ENOMEM, "out of memory");
    } catch (const std::exception &e) {
        return told(err, FLAGVER_EUNAVAILABLE, e.what());
    } catch (...) {
        return told(err, FLAGVER_EUNAVAILABLE, "something that is no std::exception was thrown");
    }
}

/** A caller's function for what the library visits. What it throws ends the walk. */
template <class Visit, class... Args> class visitor
{
  public:
    explicit visitor(Visit &visit) noexcept : visit_(visit)
    {
    }
    static bool goes_on(void *data, Args... args) noexcept
    {
        return static_cast<visitor *>(data)->visit(args...);
    }
    static void goes_over(void *data, Args... args) noexcept
    {
        static_cast<visitor *>(data)->visit(args...);
    }
    /** What the call returned, unless the function threw. */
    void rethrow() const
    {
        if (thrown_)
            std::rethrow_exception(thrown_);
    }

  private:
    bool visit(Args... args) noexcept
    {
        if (thrown_)
            return false;
        try {
            if constexpr (std::is_same_v<decltype(call(visit_, args...)), bool>) {
                return call(visit_, args...);
            } else {
                call(visit_, args...);
                return true;
            }
        } catch (...) {
            thrown_ = std::current_exception();
            return false;
        }
    }
    /** Pointers to what is visited come as references, but of texts and numbers. */
    template <class T> static const T &given(const T *thing) noexcept
    {
        return *thing;
    }
    static const char *given(const char *text) noexcept
    {
        return text;
    }
    static const char *const *given(const char *const *texts) noexcept
    {
        return texts;
    }
    template <class T> static std::enable_if_t<std::is_arithmetic_v<T>, T> given(T number) noexcept
    {
        return number;
    }
    static decltype(auto) call(Visit &visit, Args... args)
    {
        return visit(given(args)...);
    }

    Visit &visit_;
    std::exception_ptr thrown_;
};

} // namespace detail_

/** The version of the library that runs. */
inline const char *version_string() noexcept
{
    return flagver_version_string();
}

/** Throws when the library that runs is not of the version that this header is for. */
inline void check_version()
{
    const std::string_view mine = FLAGVER_VERSION, its = flagver_version_string();

    // Before 1.0 a minor version may change what is promised, from then on a major one.
    const std::size_t dots = FLAGVER_VERSION_MAJOR == 0 ? mine.find('.', mine.find('.') + 1)
                                                        : mine.find('.');
    if (its.substr(0, dots + 1) != mine.substr(0, dots + 1))
        throw error(FLAGVER_ENOTSUP, "flagver.hpp is of version " + std::string(mine) +
                                         ", and the library that runs is " + std::string(its));
}

/** See flagver_thread_release(). */
inline void thread_release() noexcept
{
    flagver_thread_release();
}

// ---- contexts ----

/** For whom a flag is evaluated (flagver/context.h). One thread at a time. */
class context
{
  public:
    context() : context_(flagver_context_new(nullptr))
    {
        if (!context_)
            throw std::bad_alloc();
    }
    explicit context(std::string_view targeting_key) : context()
    {
        key(targeting_key);
    }
    static context from_json(std::string_view json)
    {
        detail_::attempt a;
        flagver_context *made = nullptr;
        a.check(flagver_context_from_json(json.data(), json.size(), &made, a));
        return context(made);
    }

    /** Forget everything but the memory. */
    context &reset(const char *targeting_key)
    {
        detail_::must(flagver_context_reset(get(), targeting_key));
        return *this;
    }
    context &reset(std::string_view targeting_key)
    {
        detail_::must(flagver_context_reset(get(), nullptr));
        return key(targeting_key);
    }
    context &reset()
    {
        return reset(nullptr);
    }
    context &key(std::string_view targeting_key)
    {
        detail_::must(flagver_context_set_key(get(), targeting_key.data(), targeting_key.size()));
        return *this;
    }

    /** Set an attribute; between begin_list() or begin_object() and end() a part of that. */
    context &set(zstring name, std::nullptr_t)
    {
        return done(flagver_context_set_null(get(), name.c_str()));
    }
    context &set(zstring name, bool value)
    {
        return done(flagver_context_set_bool(get(), name.c_str(), value));
    }
    template <class Integer, std::enable_if_t<std::is_integral_v<Integer>, int> = 0>
    context &set(zstring name, Integer value)
    {
        static_assert(std::is_signed_v<Integer> || sizeof(Integer) < sizeof(int64_t),
                      "an integer has to fit into int64_t");
        return done(flagver_context_set_int(get(), name.c_str(), static_cast<int64_t>(value)));
    }
    context &set(zstring name, double value)
    {
        return done(flagver_context_set_double(get(), name.c_str(), value));
    }
    context &set(zstring name, std::string_view value)
    {
        return done(flagver_context_set_bytes(get(), name.c_str(), value.data(), value.size()));
    }
    context &set(zstring name, const char *value)
    {
        return done(flagver_context_set_string(get(), name.c_str(), value));
    }
    context &set(zstring name, const std::string &value)
    {
        return set(name, std::string_view(value));
    }
    context &set(zstring name, moment value)
    {
        return done(flagver_context_set_datetime(get(), name.c_str(), value.millis()));
    }
    template <class T> context &set(zstring name, std::initializer_list<T> items)
    {
        begin_list(name);
        for (const T &item : items)
            set(nullptr, item);
        return end();
    }
    template <class T> context &set(zstring name, const std::vector<T> &items)
    {
        begin_list(name);
        for (const auto &item : items)
            set(nullptr, static_cast<const T &>(item));
        return end();
    }
    context &begin_list(zstring name = nullptr)
    {
        return done(flagver_context_begin_list(get(), name.c_str()));
    }
    context &begin_object(zstring name = nullptr)
    {
        return done(flagver_context_begin_object(get(), name.c_str()));
    }
    context &end()
    {
        return done(flagver_context_end(get()));
    }

    flagver_context *get() const noexcept
    {
        return context_.get();
    }

  private:
    struct freeing {
        void operator()(flagver_context *c) const noexcept
        {
            flagver_context_free(c);
        }
    };
    explicit context(flagver_context *made) noexcept : context_(made)
    {
    }
    context &done(int r)
    {
        detail_::must(r);
        return *this;
    }

    std::unique_ptr<flagver_context, freeing> context_;
};

/** A context, or nullptr for nobody. */
class for_whom
{
  public:
    for_whom(const context &c) noexcept : context_(c.get())
    {
    }
    for_whom(std::nullptr_t) noexcept : context_(nullptr)
    {
    }
    for_whom(flagver_context *c) noexcept : context_(c)
    {
    }
    flagver_context *get() const noexcept
    {
        return context_;
    }

  private:
    flagver_context *context_;
};

// ---- evaluation ----

enum class type : int32_t {
    any = FLAGVER_TYPE_ANY,
    boolean = FLAGVER_TYPE_BOOL,
    string = FLAGVER_TYPE_STRING,
    integer = FLAGVER_TYPE_INT,
    real = FLAGVER_TYPE_DOUBLE,
    json = FLAGVER_TYPE_JSON
};

/** What a flag served: nothing, or one of these; JSON as canonical text. */
using served = std::variant<std::monostate, bool, int64_t, double, std::string_view>;

/** How an evaluation went (flagver_detail). What it shows is borrowed. */
class detail
{
  public:
    explicit detail(const flagver_detail &d) noexcept : detail_(d)
    {
    }
    std::string_view flag() const noexcept
    {
        return { detail_.flag ? detail_.flag : "", detail_.flag ? detail_.flag_length : 0 };
    }
    served value() const noexcept
    {
        switch (detail_.value.type) {
        case FLAGVER_TYPE_BOOL:
            return detail_.value.boolean;
        case FLAGVER_TYPE_INT:
            return detail_.value.integer;
        case FLAGVER_TYPE_DOUBLE:
            return detail_.value.real;
        case FLAGVER_TYPE_STRING:
        case FLAGVER_TYPE_JSON:
            if (detail_.value.string)
                return std::string_view(detail_.value.string, detail_.value.length);
            return std::monostate();
        default:
            return std::monostate();
        }
    }
    flagver::type type() const noexcept
    {
        return static_cast<flagver::type>(detail_.value.type);
    }
    std::optional<std::string_view> variant() const noexcept
    {
        return detail_::maybe(detail_.variant);
    }
    /** FLAGVER_REASON_… and its name, "SPLIT" */
    int reason() const noexcept
    {
        return detail_.reason;
    }
    const char *reason_name() const noexcept
    {
        return flagver_reason_name(detail_.reason);
    }
    /** FLAGVER_ERROR_…, and its name if it is one: "TYPE_MISMATCH" */
    int error() const noexcept
    {
        return detail_.error;
    }
    std::optional<std::string_view> error_name() const noexcept
    {
        return detail_::maybe(flagver_error_code_name(detail_.error));
    }
    std::optional<std::string_view> rule() const noexcept
    {
        return detail_::maybe(detail_.rule);
    }
    std::optional<int32_t> bucket() const noexcept
    {
        return detail_.bucket < 0 ? std::nullopt : std::optional<int32_t>(detail_.bucket);
    }
    int64_t version() const noexcept
    {
        return detail_.version;
    }
    /** JSON text */
    std::optional<std::string_view> metadata() const noexcept
    {
        return detail_::maybe(detail_.metadata);
    }
    std::string json() const
    {
        detail_::attempt a;
        detail_::owned_text text;
        a.check(flagver_detail_json(&detail_, text.out(), a));
        return text.str();
    }
    flagver_detail *get() noexcept
    {
        return &detail_;
    }
    const flagver_detail &raw() const noexcept
    {
        return detail_;
    }

  private:
    friend class bound;
    friend class snapshot;
    friend class client;
    /** To be filled at once: nothing else is written first. */
    detail() noexcept
    {
        detail_.size = sizeof detail_;
    }
    flagver_detail detail_;
};

/** A flag looked up once (flagver_bound): any thread, as long as its client. */
class bound
{
  public:
    bool boolean(for_whom user, bool fallback) const noexcept
    {
        return flagver_bound_bool(bound_, user.get(), fallback);
    }
    int64_t integer(for_whom user, int64_t fallback) const noexcept
    {
        return flagver_bound_int(bound_, user.get(), fallback);
    }
    double real(for_whom user, double fallback) const noexcept
    {
        return flagver_bound_double(bound_, user.get(), fallback);
    }
    /** Borrowed; `fallback` itself when there is no answer, and it may be NULL. */
    const char *c_string(for_whom user, const char *fallback) const noexcept
    {
        return flagver_bound_string(bound_, user.get(), fallback);
    }
    const char *c_json(for_whom user, const char *fallback) const noexcept
    {
        return flagver_bound_json(bound_, user.get(), fallback);
    }
    /** Copied. */
    std::string string(for_whom user, zstring fallback) const
    {
        return c_string(user, fallback.c_str());
    }
    std::string json(for_whom user, zstring fallback) const
    {
        return c_json(user, fallback.c_str());
    }
    detail evaluate(for_whom user, type as = type::any) const noexcept
    {
        detail d;
        flagver_bound_evaluate(bound_, user.get(), static_cast<int>(as), d.get());
        return d;
    }
    const flagver_bound *get() const noexcept
    {
        return bound_;
    }

  private:
    friend class client;
    explicit bound(const flagver_bound *b) noexcept : bound_(b)
    {
    }
    const flagver_bound *bound_;
};

/** All flags as they were at one moment. Any number of threads. */
class snapshot
{
  public:
    /** Of definitions alone. */
    static snapshot load(std::string_view json)
    {
        detail_::attempt a;
        flagver_snapshot *made = nullptr;
        a.check(flagver_snapshot_load(json.data(), json.size(), nullptr, &made, a));
        return snapshot(made);
    }
    std::size_t size() const noexcept
    {
        return flagver_snapshot_size(snapshot_.get());
    }
    /** The keys of the flags that may answer differently in `after`, a later snapshot of the same client. */
    std::vector<std::string> changes(const snapshot &after) const
    {
        std::vector<std::string> all;
        auto keep = [&](const char *const *keys, std::size_t count) {
            all.assign(keys, keys + count);
        };
        detail_::visitor<decltype(keep), const char *const *, std::size_t> v(keep);
        detail_::attempt a;
        const int r = flagver_snapshot_changes(snapshot_.get(), after.snapshot_.get(), v.goes_over,
                                               &v, a);
        v.rethrow();
        a.check(r);
        return all;
    }
    detail evaluate(std::string_view key, for_whom user, type as = type::any) const noexcept
    {
        detail d;
        flagver_snapshot_evaluate(snapshot_.get(), key.data(), key.size(), user.get(),
                                  static_cast<int>(as), d.get());
        return d;
    }
    bool boolean(std::string_view key, for_whom user, bool fallback) const noexcept
    {
        const detail d = evaluate(key, user, type::boolean);
        return d.error() ? fallback : d.raw().value.boolean;
    }
    int64_t integer(std::string_view key, for_whom user, int64_t fallback) const noexcept
    {
        const detail d = evaluate(key, user, type::integer);
        return d.error() ? fallback : d.raw().value.integer;
    }
    double real(std::string_view key, for_whom user, double fallback) const noexcept
    {
        const detail d = evaluate(key, user, type::real);
        return d.error() ? fallback : d.raw().value.real;
    }
    /** Lives as long as the snapshot, or the fallback. */
    std::string_view string(std::string_view key, for_whom user,
                            std::string_view fallback) const noexcept
    {
        const detail d = evaluate(key, user, type::string);
        return d.error() ? fallback : std::string_view(d.raw().value.string, d.raw().value.length);
    }
    std::string_view json(std::string_view key, for_whom user,
                          std::string_view fallback) const noexcept
    {
        const detail d = evaluate(key, user, type::json);
        return d.error() ? fallback : std::string_view(d.raw().value.string, d.raw().value.length);
    }
    std::string explain(std::string_view key, for_whom user) const
    {
        detail_::attempt a;
        detail_::owned_text text;
        a.check(flagver_snapshot_explain(snapshot_.get(), key.data(), key.size(), user.get(),
                                         text.out(), a));
        return text.str();
    }
    const flagver_snapshot *get() const noexcept
    {
        return snapshot_.get();
    }

  private:
    friend class client;
    struct freeing {
        void operator()(flagver_snapshot *s) const noexcept
        {
            flagver_snapshot_free(s);
        }
    };
    explicit snapshot(flagver_snapshot *made) noexcept : snapshot_(made)
    {
    }
    std::unique_ptr<flagver_snapshot, freeing> snapshot_;
};

// ---- versions ----

/** One version of a record (flagver_version), immutable. */
class version
{
  public:
    explicit version(flagver_version *made) noexcept : version_(made)
    {
    }
    /** All its members: v->no, v->state, v->created_by. */
    const flagver_version *operator->() const noexcept
    {
        return version_.get();
    }
    const flagver_version &operator*() const noexcept
    {
        return *version_;
    }
    uint32_t no() const noexcept
    {
        return version_->no;
    }
    /** FLAGVER_STATE_… */
    int state() const noexcept
    {
        return version_->state;
    }
    /** JSON text; nothing when it was not asked for, is sealed or shredded. */
    std::optional<std::string_view> payload() const noexcept
    {
        if (!version_->payload)
            return std::nullopt;
        return std::string_view(version_->payload, version_->payload_length);
    }
    std::array<uint8_t, 32> content_hash() const noexcept
    {
        std::array<uint8_t, 32> hash;
        std::memcpy(hash.data(), version_->content_hash, hash.size());
        return hash;
    }
    moment created_at() const noexcept
    {
        return moment(std::chrono::microseconds(version_->created_at));
    }

  private:
    struct freeing {
        void operator()(flagver_version *v) const noexcept
        {
            flagver_version_free(v);
        }
    };
    std::unique_ptr<flagver_version, freeing> version_;
};

/** Options of a write (flagver_write_options). */
struct write {
    std::string note;
    uint32_t expect_no = 0;
    uint32_t flags = 0; ///< FLAGVER_WRITE_…
    std::optional<std::array<uint8_t, 32>> content_hash;
    uint32_t parent_no = 0;
    uint32_t baseline_no = 0;

    write() = default;
    /** Only a note. */
    write(std::string why) : note(std::move(why))
    {
    }
    write(const char *why) : note(why)
    {
    }
};

/** Who acts. */
struct actor {
    std::string id;
    std::vector<std::string> roles;

    actor(std::string id_) : id(std::move(id_))
    {
    }
    actor(const char *id_) : id(id_)
    {
    }
    actor(std::string id_, std::vector<std::string> roles_)
        : id(std::move(id_)), roles(std::move(roles_))
    {
    }
};

namespace detail_
{

/** A flagver_actor as long as this is there. */
class raw_actor
{
  public:
    explicit raw_actor(const actor &who)
    {
        for (const std::string &role : who.roles)
            roles_.push_back(role.c_str());
        actor_.size = sizeof actor_;
        actor_.id = who.id.c_str();
        actor_.roles = roles_.empty() ? nullptr : roles_.data();
        actor_.role_count = roles_.size();
    }
    raw_actor(const raw_actor &) = delete;
    raw_actor &operator=(const raw_actor &) = delete;
    const flagver_actor *get() const noexcept
    {
        return &actor_;
    }

  private:
    std::vector<const char *> roles_;
    flagver_actor actor_{};
};

inline flagver_write_options raw(const write &how) noexcept
{
    flagver_write_options o = flagver_write_options();
    o.size = sizeof o;
    o.note = or_null(how.note);
    o.expect_no = how.expect_no;
    o.flags = how.flags;
    o.content_hash = how.content_hash ? how.content_hash->data() : nullptr;
    o.parent_no = how.parent_no;
    o.baseline_no = how.baseline_no;
    return o;
}

inline std::vector<const char *> pointers(const std::vector<std::string> &texts)
{
    std::vector<const char *> all;
    for (const std::string &text : texts)
        all.push_back(text.c_str());
    return all;
}

} // namespace detail_

/** What an item holds; the key ends with a NUL. */
struct item {
    std::string key;
    std::string json;
};

struct transaction_options {
    std::string idempotency_key;            ///< empty: none
    std::chrono::milliseconds timeout{ 0 }; ///< 0: 30 seconds; below: as long as it likes
};

/**
 * All of it happens or none of it. Rolled back in the end unless it was committed; transact() commits by
 * itself, and tries again. One thread at a time.
 */
class transaction
{
  public:
    inline transaction(client &in, const actor &who, const transaction_options &options = {});
    /** One that was begun in C, for instance by flagver_txn_begin_on_sqlite(). Owned from here on. */
    explicit transaction(flagver_txn *begun) noexcept : txn_(begun), owned_(true)
    {
    }
    transaction(const transaction &) = delete;
    transaction &operator=(const transaction &) = delete;
    transaction(transaction &&other) noexcept
        : txn_(std::exchange(other.txn_, nullptr)), owned_(other.owned_)
    {
    }
    transaction &operator=(transaction &&other) noexcept
    {
        std::swap(txn_, other.txn_);
        std::swap(owned_, other.owned_);
        return *this;
    }
    ~transaction()
    {
        rollback();
    }

    /** It has ended in any case. Not inside of transact(). */
    void commit()
    {
        detail_::attempt a;
        if (!owned_)
            throw failure<FLAGVER_EINVAL>(FLAGVER_EINVAL, "transact() commits by itself");
        const int r = flagver_txn_commit(txn_, a);
        rollback();
        a.check(r);
    }
    void rollback() noexcept
    {
        if (owned_)
            flagver_txn_free(std::exchange(txn_, nullptr));
    }
    void lock(zstring phase, const std::vector<std::string> &subjects)
    {
        const std::vector<const char *> all = detail_::pointers(subjects);
        detail_::attempt a;
        a.check(flagver_txn_lock(txn_, phase.c_str(), all.data(), all.size(), a));
    }

    // Flags and segments (flagver/rollout.h). Each gives the new number.
    uint32_t put_flag(zstring key, std::string_view json, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_flag_put(txn_, key.c_str(), json.data(), json.size(), o, no, e);
        });
    }
    uint32_t put_segment(zstring name, std::string_view json, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_segment_put(txn_, name.c_str(), json.data(), json.size(), o, no, e);
        });
    }
    uint32_t enable(zstring key, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_flag_enable(txn_, key.c_str(), o, no, e);
        });
    }
    uint32_t disable(zstring key, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_flag_disable(txn_, key.c_str(), o, no, e);
        });
    }
    uint32_t ramp(zstring key, double percentage, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_flag_ramp(txn_, key.c_str(), percentage, o, no, e);
        });
    }
    uint32_t release(zstring key, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_flag_release(txn_, key.c_str(), o, no, e);
        });
    }
    uint32_t add_beta(zstring key, const std::vector<std::string> &users, const write &how = {})
    {
        const std::vector<const char *> all = detail_::pointers(users);
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_flag_beta_add(txn_, key.c_str(), all.data(), all.size(), o, no, e);
        });
    }
    uint32_t remove_beta(zstring key, const std::vector<std::string> &users, const write &how = {})
    {
        const std::vector<const char *> all = detail_::pointers(users);
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_flag_beta_remove(txn_, key.c_str(), all.data(), all.size(), o, no, e);
        });
    }
    /** Without one the schedule is taken away. */
    uint32_t schedule(zstring key, std::optional<std::string_view> json, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_flag_schedule(txn_, key.c_str(), json ? json->data() : nullptr,
                                         json ? json->size() : 0, o, no, e);
        });
    }
    uint32_t revert_flag(zstring key, uint32_t to, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_flag_revert(txn_, key.c_str(), to, o, no, e);
        });
    }
    uint32_t revert_segment(zstring name, uint32_t to, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_segment_revert(txn_, name.c_str(), to, o, no, e);
        });
    }
    uint32_t delete_flag(zstring key, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_flag_delete(txn_, key.c_str(), o, no, e);
        });
    }
    uint32_t delete_segment(zstring name, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_segment_delete(txn_, name.c_str(), o, no, e);
        });
    }
    /** Flags as code: how many steps were taken. */
    int apply(std::string_view json, bool prune = false, const write &how = {})
    {
        const flagver_write_options o = detail_::raw(how);
        detail_::attempt a;
        return a.check(flagver_flags_apply(txn_, json.data(), json.size(), nullptr, prune, &o, a));
    }

    // Records (flagver/version.h). Each gives the version as it is now.
    version create(zstring phase, zstring subject, std::string_view json, const write &how = {})
    {
        return with_content(flagver_version_create, phase, subject, json, how);
    }
    version put(zstring phase, zstring subject, std::string_view json, const write &how = {})
    {
        return with_content(flagver_version_put, phase, subject, json, how);
    }
    version record(zstring phase, zstring subject, std::string_view json, const write &how = {})
    {
        return with_content(flagver_version_record, phase, subject, json, how);
    }
    version edit(zstring phase, zstring subject, uint32_t no, std::string_view json,
                 const write &how = {})
    {
        return made(how, [&](auto *o, auto **v, auto *e) {
            return flagver_version_edit(txn_, phase.c_str(), subject.c_str(), no, json.data(),
                                        json.size(), o, v, e);
        });
    }
    version submit(zstring phase, zstring subject, uint32_t no, const write &how = {})
    {
        return with_number(flagver_version_submit, phase, subject, no, how);
    }
    version rebase(zstring phase, zstring subject, uint32_t no, const write &how = {})
    {
        return with_number(flagver_version_rebase, phase, subject, no, how);
    }
    version send_back(zstring phase, zstring subject, uint32_t no, const write &how = {})
    {
        return with_number(flagver_version_return, phase, subject, no, how);
    }
    version approve(zstring phase, zstring subject, uint32_t no, const write &how = {})
    {
        return with_number(flagver_version_approve, phase, subject, no, how);
    }
    version reject(zstring phase, zstring subject, uint32_t no, const write &how = {})
    {
        return with_number(flagver_version_reject, phase, subject, no, how);
    }
    version withdraw(zstring phase, zstring subject, uint32_t no, const write &how = {})
    {
        return with_number(flagver_version_withdraw, phase, subject, no, how);
    }
    version revert(zstring phase, zstring subject, uint32_t no, const write &how = {})
    {
        return with_number(flagver_version_revert, phase, subject, no, how);
    }
    version review(zstring phase, zstring subject, uint32_t no, const write &how = {})
    {
        return with_number(flagver_version_review, phase, subject, no, how);
    }
    version remove(zstring phase, zstring subject, const write &how = {})
    {
        return made(how, [&](auto *o, auto **v, auto *e) {
            return flagver_version_remove(txn_, phase.c_str(), subject.c_str(), o, v, e);
        });
    }
    version put_items(zstring phase, zstring subject, uint32_t no, const std::vector<item> &items,
                      const write &how = {})
    {
        std::vector<flagver_item_content> all;
        for (const item &one : items)
            all.push_back({ one.key.c_str(), one.json.data(), one.json.size() });
        return made(how, [&](auto *o, auto **v, auto *e) {
            return flagver_items_put(txn_, phase.c_str(), subject.c_str(), no, all.data(),
                                     all.size(), o, v, e);
        });
    }
    version remove_items(zstring phase, zstring subject, uint32_t no,
                         const std::vector<std::string> &keys, const write &how = {})
    {
        const std::vector<const char *> all = detail_::pointers(keys);
        return made(how, [&](auto *o, auto **v, auto *e) {
            return flagver_items_remove(txn_, phase.c_str(), subject.c_str(), no, all.data(),
                                        all.size(), o, v, e);
        });
    }
    /** @param status  FLAGVER_ITEM_… */
    version decide_items(zstring phase, zstring subject, uint32_t no,
                         const std::vector<std::string> &keys, int32_t status,
                         const write &how = {})
    {
        const std::vector<const char *> all = detail_::pointers(keys);
        return made(how, [&](auto *o, auto **v, auto *e) {
            return flagver_items_decide(txn_, phase.c_str(), subject.c_str(), no, all.data(),
                                        all.size(), status, o, v, e);
        });
    }
    uint32_t assign(zstring role, zstring subject, zstring user, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_assign(txn_, role.c_str(), subject.c_str(), user.c_str(), o, no, e);
        });
    }
    uint32_t unassign(zstring role, zstring subject, zstring user, const write &how = {})
    {
        return number(how, [&](auto *o, auto *no, auto *e) {
            return flagver_unassign(txn_, role.c_str(), subject.c_str(), user.c_str(), o, no, e);
        });
    }
    void shred(zstring phase, zstring subject, uint32_t no, const std::string &note = {})
    {
        detail_::attempt a;
        a.check(flagver_version_shred(txn_, phase.c_str(), subject.c_str(), no,
                                      detail_::or_null(note), a));
    }

    // The id map (flagver/idmap.h).
    void map_id(zstring entity, zstring old_id, zstring new_id)
    {
        detail_::attempt a;
        a.check(flagver_idmap_put(txn_, entity.c_str(), old_id.c_str(), new_id.c_str(), a));
    }
    /** What the old id is mapped to, now if it was not; NULL: a UUID of the library's. */
    std::string new_id(zstring entity, zstring old_id, zstring wanted = nullptr)
    {
        char id[FLAGVER_IDMAP_ID_SIZE];
        detail_::attempt a;
        a.check(flagver_idmap_new(txn_, entity.c_str(), old_id.c_str(), wanted.c_str(), id, a));
        return id;
    }
    void unmap_id(zstring entity, zstring old_id)
    {
        detail_::attempt a;
        a.check(flagver_idmap_remove(txn_, entity.c_str(), old_id.c_str(), a));
    }
    std::optional<std::string> mapped_id(zstring entity, zstring old_id) const
    {
        char id[FLAGVER_IDMAP_ID_SIZE];
        detail_::attempt a;
        const int r = flagver_idmap_get_in(txn_, entity.c_str(), old_id.c_str(), id, a);
        if (r == FLAGVER_ENOTFOUND)
            return std::nullopt;
        a.check(r);
        return id;
    }

    /** For what is only there in C. Ended by this object. */
    flagver_txn *get() const noexcept
    {
        return txn_;
    }

  private:
    friend class client;
    friend class side_call;
    struct lent {
    };
    transaction(flagver_txn *txn, lent) noexcept : txn_(txn), owned_(false)
    {
    }

    template <class Call> static uint32_t number(const write &how, Call call)
    {
        const flagver_write_options o = detail_::raw(how);
        detail_::attempt a;
        uint32_t no = 0;
        a.check(call(&o, &no, static_cast<flagver_error *>(a)));
        return no;
    }
    template <class Call> static version made(const write &how, Call call)
    {
        const flagver_write_options o = detail_::raw(how);
        detail_::attempt a;
        flagver_version *v = nullptr;
        a.check(call(&o, &v, static_cast<flagver_error *>(a)));
        return version(v);
    }
    template <class Call>
    version with_content(Call call, zstring phase, zstring subject, std::string_view json,
                         const write &how)
    {
        return made(how, [&](auto *o, auto **v, auto *e) {
            return call(txn_, phase.c_str(), subject.c_str(), json.data(), json.size(), o, v, e);
        });
    }
    template <class Call>
    version with_number(Call call, zstring phase, zstring subject, uint32_t no, const write &how)
    {
        return made(how, [&](auto *o, auto **v, auto *e) {
            return call(txn_, phase.c_str(), subject.c_str(), no, o, v, e);
        });
    }

    flagver_txn *txn_;
    bool owned_;
};

// ---- the client ----

/** What flagver_options has; what is left as it is, is the library's default. */
struct options {
    bool background = true;  ///< stores: a thread of the library's own refreshes the client
    bool environment = true; ///< variables may override flags
    std::string tenant, cache_file, key_file;
    std::chrono::milliseconds wait{ 0 }, poll{ 0 }, flush{ 0 };
    const flagver_allocator *allocator = nullptr;
    flagver_hook hook{}; ///< C functions: they are called by every evaluation

    std::function<moment()> clock; ///< for schedules; one that throws is the system's clock
    /** Also what a callback that nobody waits for has thrown. On any thread. */
    std::function<void(int level, std::string_view message)> log;
    /** FLAGVER_ALLOW, FLAGVER_DENY or FLAGVER_ASK_RULES; one that throws has denied. */
    std::function<int(const flagver_actor &who, std::string_view action, std::string_view phase,
                      std::string_view subject)>
        authorize;
    /** A key-encryption key and its id: of this id, or the one to encrypt with. */
    std::function<std::optional<std::pair<std::string, std::array<uint8_t, FLAGVER_KEY_SIZE>>>(
        std::optional<std::string_view> id)>
        key;
    std::optional<actor> guardian; ///< guards of schedules take flags back in this actor's name
    std::function<void(const flagver_rollout_alert &)> alert;
};

namespace detail_
{

/** The functions of a client, at one address as long as the client is there. */
class callbacks
{
  public:
    explicit callbacks(const options &o) : options_(o)
    {
        if (options_.guardian)
            guardian_.emplace(*options_.guardian);
    }

    flagver_options raw() noexcept
    {
        flagver_options o = flagver_options();
        o.size = sizeof o;
        o.allocator = options_.allocator;
        o.hook = options_.hook.before || options_.hook.after ? &options_.hook : nullptr;
        o.no_environment = !options_.environment;
        o.background = options_.background;
        o.tenant = or_null(options_.tenant);
        o.cache_file = or_null(options_.cache_file);
        o.key_file = or_null(options_.key_file);
        o.wait_ms = ms(options_.wait);
        o.poll_ms = ms(options_.poll);
        o.flush_ms = ms(options_.flush);
        o.guardian = guardian_ ? guardian_->get() : nullptr;
        o.clock = options_.clock ? clock : nullptr;
        o.log = options_.log ? log : nullptr;
        o.authorize = options_.authorize ? authorize : nullptr;
        o.key = options_.key ? key : nullptr;
        o.alert = options_.alert ? alert : nullptr;
        o.clock_data = o.log_data = o.authorize_data = o.key_data = o.alert_data = this;
        return o;
    }

    /** The exception in flight came out of a callback that nobody waits for. */
    void lost(const char *whose) const noexcept
    {
        flagver_error e;

        caught(&e);
        try {
            if (options_.log)
                options_.log(FLAGVER_LOG_WARNING, std::string(whose) + " threw: " + e.message);
        } catch (...) { // there is nobody left to tell
        }
    }

  private:
    static int64_t clock(void *data) noexcept
    {
        try {
            return of(data).options_.clock().millis();
        } catch (...) {
            return moment(std::chrono::system_clock::now()).millis();
        }
    }
    static void log(void *data, int level, const char *message) noexcept
    {
        try {
            of(data).options_.log(level, message);
        } catch (...) { // as above
        }
    }
    static int authorize(void *data, const flagver_actor *who, const char *action,
                         const char *phase, const char *subject) noexcept
    {
        try {
            return of(data).options_.authorize(*who, action, phase, subject);
        } catch (...) {
            of(data).lost("options::authorize");
            return FLAGVER_DENY;
        }
    }
    static int key(void *data, const char *id, char *ret_id, uint8_t *ret_key) noexcept
    {
        try {
            const auto found = of(data).options_.key(maybe(id));
            if (!found || found->first.size() > FLAGVER_KEY_ID_LIMIT)
                return -1;
            std::memcpy(ret_id, found->first.c_str(), found->first.size() + 1);
            std::memcpy(ret_key, found->second.data(), found->second.size());
            return 0;
        } catch (...) {
            of(data).lost("options::key");
            return -1;
        }
    }
    static void alert(void *data, const flagver_rollout_alert *what) noexcept
    {
        try {
            of(data).options_.alert(*what);
        } catch (...) {
            of(data).lost("options::alert");
        }
    }
    static callbacks &of(void *data) noexcept
    {
        return *static_cast<callbacks *>(data);
    }

    options options_;
    std::optional<raw_actor> guardian_;
};

/** A change listener, kept by whoever is inside of it, also when it takes itself off. */
struct listening : std::enable_shared_from_this<listening> {
    std::function<void(const std::vector<std::string_view> &)> changed;
    std::shared_ptr<callbacks> of;

    static void call(void *data, const char *const *keys, std::size_t count) noexcept
    {
        const std::shared_ptr<listening> self = static_cast<listening *>(data)->shared_from_this();
        try {
            self->changed(std::vector<std::string_view>(keys, keys + count));
        } catch (...) {
            self->of->lost("a change listener");
        }
    }
};

} // namespace detail_

/** A change listener is called as long as this is there, which must not be longer than its client. */
class subscription
{
  public:
    subscription() = default;
    subscription(subscription &&other) noexcept
        : client_(std::exchange(other.client_, nullptr)), number_(other.number_),
          listening_(std::move(other.listening_))
    {
    }
    subscription &operator=(subscription &&other) noexcept
    {
        if (this != &other) {
            stop();
            client_ = std::exchange(other.client_, nullptr);
            number_ = other.number_;
            listening_ = std::move(other.listening_);
        }
        return *this;
    }
    ~subscription()
    {
        stop();
    }
    /** Waits for a call under way on another thread. */
    void stop() noexcept
    {
        if (client_)
            flagver_client_unlisten(std::exchange(client_, nullptr), number_);
        listening_.reset();
    }

  private:
    friend class client;
    subscription(flagver_client *c, int number, std::shared_ptr<detail_::listening> l) noexcept
        : client_(c), number_(number), listening_(std::move(l))
    {
    }
    flagver_client *client_ = nullptr;
    int number_ = 0;
    std::shared_ptr<detail_::listening> listening_;
};

/** What to list (flagver_list_options). */
struct list_options {
    std::string prefix, after, author;
    uint32_t after_no = 0, limit = 0;
    bool backwards = false, payload = false, all = false;
    uint32_t states = 0; ///< sum of FLAGVER_STATES(…)
    std::optional<moment> as_of;
};

/** Which sums of what was tracked (flagver_track_options). */
struct track_options {
    std::string flag;
    std::optional<moment> from, to;
    int by = FLAGVER_TRACK_BY_ALL;
    bool own = false;
};

namespace detail_
{

inline flagver_list_options raw(const list_options &l) noexcept
{
    flagver_list_options o = flagver_list_options();
    o.size = sizeof o;
    o.prefix = or_null(l.prefix);
    o.after = or_null(l.after);
    o.author = or_null(l.author);
    o.after_no = l.after_no;
    o.limit = l.limit;
    o.backwards = l.backwards;
    o.payload = l.payload;
    o.all = l.all;
    o.states = l.states;
    o.as_of = l.as_of ? l.as_of->micros() : 0;
    return o;
}

inline flagver_track_options raw(const track_options &t) noexcept
{
    flagver_track_options o = flagver_track_options();
    o.size = sizeof o;
    o.flag = or_null(t.flag);
    o.from = t.from ? t.from->micros() : 0;
    o.to = t.to ? t.to->micros() : 0;
    o.by = t.by;
    o.own = t.own;
    return o;
}

inline flagver_txn_options raw(const transaction_options &t) noexcept
{
    flagver_txn_options o = flagver_txn_options();
    o.size = sizeof o;
    o.idempotency_key = or_null(t.idempotency_key);
    o.timeout_ms = ms(t.timeout);
    return o;
}

} // namespace detail_

/** Size and root of an audit log. */
struct audit_head {
    uint64_t size = 0;
    std::array<uint8_t, FLAGVER_HASH_SIZE> root{};
};

/** A source of flags, and the way to a store (flagver/client.h). Any number of threads. */
class client
{
  public:
    explicit client(zstring uri, const options &o = options())
        : callbacks_(std::make_shared<detail_::callbacks>(o))
    {
        const flagver_options raw = callbacks_->raw();
        detail_::attempt a;
        flagver_client *made = nullptr;

        check_version();
        a.check(flagver_open(uri.c_str(), &raw, &made, a));
        client_.reset(made);
    }
    /** Another tenant's records in the same store: a client of its own. */
    client tenant(zstring name) const
    {
        detail_::attempt a;
        flagver_client *made = nullptr;
        a.check(flagver_client_tenant(get(), name.c_str(), &made, a));
        return client(made, callbacks_);
    }

    client(client &&) noexcept = default;
    client &operator=(client &&other) noexcept
    {
        std::swap(callbacks_, other.callbacks_);
        std::swap(client_, other.client_);
        return *this;
    }

    // ---- evaluation: never throws, never waits

    bool boolean(zstring key, for_whom user, bool fallback) const noexcept
    {
        return flagver_flag_bool(get(), key.c_str(), user.get(), fallback);
    }
    int64_t integer(zstring key, for_whom user, int64_t fallback) const noexcept
    {
        return flagver_flag_int(get(), key.c_str(), user.get(), fallback);
    }
    double real(zstring key, for_whom user, double fallback) const noexcept
    {
        return flagver_flag_double(get(), key.c_str(), user.get(), fallback);
    }
    /** Borrowed; `fallback` itself when there is no answer, and it may be NULL. */
    const char *c_string(zstring key, for_whom user, const char *fallback) const noexcept
    {
        return flagver_flag_string(get(), key.c_str(), user.get(), fallback);
    }
    const char *c_json(zstring key, for_whom user, const char *fallback) const noexcept
    {
        return flagver_flag_json(get(), key.c_str(), user.get(), fallback);
    }
    /** Copied: this may throw std::bad_alloc. */
    std::string string(zstring key, for_whom user, zstring fallback) const
    {
        return c_string(key, user, fallback.c_str());
    }
    std::string json(zstring key, for_whom user, zstring fallback) const
    {
        return c_json(key, user, fallback.c_str());
    }
    /** Any key and type; after an error the value is std::monostate. */
    detail evaluate(std::string_view key, for_whom user, type as = type::any) const noexcept
    {
        detail d;
        flagver_flag_evaluate(get(), key.data(), key.size(), user.get(), static_cast<int>(as),
                              d.get());
        return d;
    }
    /** The flag looked up once. */
    bound bind(zstring key) const
    {
        detail_::attempt a;
        const flagver_bound *b = nullptr;
        a.check(flagver_flag_bind(get(), key.c_str(), &b, a));
        return bound(b);
    }
    /** visit(const flagver_detail &), which may return false to end. @return how many were visited */
    template <class Visit> std::size_t evaluate_all(for_whom user, Visit &&visit) const
    {
        detail_::visitor<Visit, const flagver_detail *> v(visit);
        const std::size_t count = flagver_flag_all(get(), user.get(), v.goes_on, &v);
        v.rethrow();
        return count;
    }
    std::string explain(std::string_view key, for_whom user) const
    {
        detail_::attempt a;
        detail_::owned_text text;
        a.check(flagver_flag_explain(get(), key.data(), key.size(), user.get(), text.out(), a));
        return text.str();
    }
    /** Serve this variant to everyone in this process; NULL: take that back. */
    void force(zstring key, zstring variant)
    {
        detail_::attempt a;
        a.check(flagver_flag_override(get(), key.c_str(), variant.c_str(), a));
    }
    /** visit(const char *flag, const char *variant or NULL, uint64_t count) */
    template <class Visit> void counts(Visit &&visit) const
    {
        detail_::visitor<Visit, const char *, const char *, uint64_t> v(visit);
        detail_::attempt a;
        const int r = flagver_flag_counts(get(), v.goes_over, &v, a);
        v.rethrow();
        a.check(r);
    }
    flagver::snapshot snapshot() const
    {
        flagver_snapshot *s = flagver_client_snapshot(get());
        if (!s)
            throw std::bad_alloc();
        return flagver::snapshot(s);
    }
    /** What a flag served at that time. */
    flagver::snapshot snapshot_at(moment time) const
    {
        detail_::attempt a;
        flagver_snapshot *made = nullptr;
        a.check(flagver_snapshot_at(get(), time.micros(), &made, a));
        return flagver::snapshot(made);
    }

    // ---- the client itself

    void refresh()
    {
        detail_::attempt a;
        a.check(flagver_client_refresh(get(), a));
    }
    void load(std::string_view json)
    {
        detail_::attempt a;
        a.check(flagver_client_load(get(), json.data(), json.size(), a));
    }
    void merge(std::string_view json)
    {
        detail_::attempt a;
        a.check(flagver_client_merge(get(), json.data(), json.size(), a));
    }
    /** In a child of fork(). */
    void reopen()
    {
        detail_::attempt a;
        a.check(flagver_client_reopen(get(), a));
    }
    uint64_t generation() const noexcept
    {
        return flagver_client_generation(get());
    }
    /** JSON text */
    std::string health() const
    {
        detail_::attempt a;
        detail_::owned_text text;
        a.check(flagver_client_health(get(), text.out(), a));
        return text.str();
    }
    /** For event loops, without options::background. */
    int fd() const
    {
        detail_::attempt a;
        return a.check(flagver_client_fd(get(), a));
    }
    /** `changed` gets the keys that may answer differently, on the thread that refreshed. */
    [[nodiscard]] subscription
    listen(std::function<void(const std::vector<std::string_view> &)> changed)
    {
        detail_::attempt a;
        auto l = std::make_shared<detail_::listening>();
        l->changed = std::move(changed);
        l->of = callbacks_;
        const int number = a.check(
            flagver_client_listen(get(), detail_::listening::call, l.get(), a));
        return subscription(get(), number, std::move(l));
    }

    // ---- writing

    /**
     * Runs `run(transaction &)` and commits; both again after errors of class RETRY, so it should change
     * nothing else. What it throws ends it and comes out, a flagver::retry excepted. @return what it returns
     */
    template <class Run>
    auto transact(const actor &who, Run &&run, const transaction_options &o = {})
        -> decltype(run(std::declval<transaction &>()))
    {
        using result = decltype(run(std::declval<transaction &>()));
        using kept = std::conditional_t<std::is_void_v<result>, std::monostate, result>;
        running<Run, kept> state{ run, std::nullopt, nullptr };
        const detail_::raw_actor raw(who);
        const flagver_txn_options options = detail_::raw(o);
        detail_::attempt a;

        const int r = flagver_txn_run(get(), raw.get(), &options, state.call, &state, a);
        if (r < 0 && state.thrown)
            std::rethrow_exception(state.thrown);
        a.check(r);
        if constexpr (!std::is_void_v<result>)
            return std::move(*state.returned);
    }
    /** Looks at what was tracked, and takes back flags whose guards have tripped. @return how many */
    int guard(const actor &who,
              const std::function<void(const flagver_rollout_alert &)> &alert = {})
    {
        const detail_::raw_actor raw(who);
        auto tell = [&](const flagver_rollout_alert &what) {
            if (alert)
                alert(what);
        };
        detail_::visitor<decltype(tell), const flagver_rollout_alert *> v(tell);
        detail_::attempt a;
        const int r = flagver_flags_guard(get(), raw.get(), v.goes_over, &v, a);
        v.rethrow();
        return a.check(r);
    }
    /** What apply() would do: visit(const flagver_plan_step &). @return how many steps */
    template <class Visit> int plan(std::string_view json, bool prune, Visit &&visit) const
    {
        detail_::visitor<Visit, const flagver_plan_step *> v(visit);
        detail_::attempt a;
        const int r = flagver_flags_plan(get(), json.data(), json.size(), nullptr, prune,
                                         v.goes_over, &v, a);
        v.rethrow();
        return a.check(r);
    }
    std::string export_flags() const
    {
        detail_::attempt a;
        detail_::owned_text text;
        a.check(flagver_flags_export(get(), text.out(), a));
        return text.str();
    }

    // ---- reading records: nothing where there is none

    std::optional<version> current(zstring phase, zstring subject) const
    {
        return found([&](auto **v, auto *e) {
            return flagver_version_current(get(), phase.c_str(), subject.c_str(), v, e);
        });
    }
    std::optional<version> get_version(zstring phase, zstring subject, uint32_t no) const
    {
        return found([&](auto **v, auto *e) {
            return flagver_version_get(get(), phase.c_str(), subject.c_str(), no, v, e);
        });
    }
    std::optional<version> as_of(zstring phase, zstring subject, moment time) const
    {
        return found([&](auto **v, auto *e) {
            return flagver_version_as_of(get(), phase.c_str(), subject.c_str(), time.micros(), v,
                                         e);
        });
    }
    std::optional<version> by_id(zstring id) const
    {
        return found(
            [&](auto **v, auto *e) { return flagver_version_by_id(get(), id.c_str(), v, e); });
    }
    /** visit(const flagver_version &), which may return false to end, and must not write. */
    template <class Visit>
    void history(zstring phase, zstring subject, Visit &&visit, const list_options &l = {}) const
    {
        walk<const flagver_version *>(visit, [&](auto step, void *data, auto *e) {
            const flagver_list_options o = detail_::raw(l);
            return flagver_version_history(get(), phase.c_str(), subject.c_str(), &o, step, data,
                                           e);
        });
    }
    /** @param phase  NULL: all */
    template <class Visit> void list(zstring phase, Visit &&visit, const list_options &l = {}) const
    {
        walk<const flagver_version *>(visit, [&](auto step, void *data, auto *e) {
            const flagver_list_options o = detail_::raw(l);
            return flagver_version_list(get(), phase.c_str(), &o, step, data, e);
        });
    }
    /** What waits for this actor. */
    template <class Visit>
    void due(const actor &who, zstring phase, Visit &&visit, const list_options &l = {}) const
    {
        const detail_::raw_actor raw(who);
        walk<const flagver_version *>(visit, [&](auto step, void *data, auto *e) {
            const flagver_list_options o = detail_::raw(l);
            return flagver_version_due(get(), raw.get(), phase.c_str(), &o, step, data, e);
        });
    }
    /** visit(const flagver_item &) */
    template <class Visit>
    void items(zstring phase, zstring subject, uint32_t no, Visit &&visit) const
    {
        walk<const flagver_item *>(visit, [&](auto step, void *data, auto *e) {
            return flagver_items_list(get(), phase.c_str(), subject.c_str(), no, step, data, e);
        });
    }
    /** visit(const flagver_vote &) */
    template <class Visit>
    void votes(zstring phase, zstring subject, uint32_t no, Visit &&visit) const
    {
        walk<const flagver_vote *>(visit, [&](auto step, void *data, auto *e) {
            return flagver_votes_list(get(), phase.c_str(), subject.c_str(), no, step, data, e);
        });
    }
    /** @param form  FLAGVER_DIFF_… */
    std::string diff(zstring phase, zstring subject, uint32_t from, uint32_t to,
                     int form = FLAGVER_DIFF_LINES) const
    {
        detail_::attempt a;
        detail_::owned_text text;
        a.check(flagver_version_diff(get(), phase.c_str(), subject.c_str(), from, to, form,
                                     text.out(), a));
        return text.str();
    }
    /** JSON text. @param subject  may be NULL */
    std::string policy(zstring phase, zstring subject) const
    {
        detail_::attempt a;
        detail_::owned_text text;
        a.check(flagver_phase_policy(get(), phase.c_str(), subject.c_str(), text.out(), a));
        return text.str();
    }

    // ---- the audit log

    /** visit(const flagver_audit_entry &). @return the number to go on from next time */
    template <class Visit>
    uint64_t audit_log(uint64_t from, Visit &&visit, uint32_t limit = 0) const
    {
        uint64_t next = from;
        walk<const flagver_audit_entry *>(visit, [&](auto step, void *data, auto *e) {
            return flagver_audit_log(get(), from, limit, step, data, &next, e);
        });
        return next;
    }
    flagver::audit_head audit_head() const
    {
        flagver::audit_head head;
        detail_::attempt a;
        a.check(flagver_audit_head(get(), &head.size, head.root.data(), a));
        return head;
    }
    /** @param origin, signer  may be NULL */
    std::string audit_checkpoint(zstring origin, zstring signer) const
    {
        detail_::attempt a;
        detail_::owned_text text;
        a.check(flagver_audit_checkpoint(get(), origin.c_str(), signer.c_str(), text.out(), a));
        return text.str();
    }
    flagver_proof prove_inclusion(uint64_t no, uint64_t size = 0) const
    {
        flagver_proof proof;
        detail_::attempt a;
        a.check(flagver_audit_prove_inclusion(get(), no, size, &proof, a));
        return proof;
    }
    flagver_proof prove_consistency(uint64_t old_size, uint64_t size = 0) const
    {
        flagver_proof proof;
        detail_::attempt a;
        a.check(flagver_audit_prove_consistency(get(), old_size, size, &proof, a));
        return proof;
    }
    /** found(const char *line) for each thing that is wrong. @return how many there are */
    template <class Found>
    int audit_verify(Found &&found, const flagver_verify_options *o = nullptr,
                     flagver_verify_result *ret_result = nullptr) const
    {
        detail_::visitor<Found, const char *> v(found);
        detail_::attempt a;
        const int r = flagver_audit_verify(get(), o, v.goes_over, &v, ret_result, a);
        v.rethrow();
        return a.check(r);
    }

    // ---- tracking (flagver/track.h)

    /** Something happened that flags are measured by. */
    void track(zstring event, for_whom user = nullptr, double value = 1)
    {
        detail_::attempt a;
        a.check(flagver_track(get(), user.get(), event.c_str(), value, a));
    }
    /** The code behind a flag has run. @param variant  NULL: after an error */
    void track_outcome(zstring flag, zstring variant, bool failed, std::chrono::nanoseconds latency)
    {
        detail_::attempt a;
        a.check(flagver_track_outcome(get(), flag.c_str(), variant.c_str(), failed, latency.count(),
                                      a));
    }
    /**
     * Runs the code behind a flag, and tracks how it fared: it fails when it throws. That it could not be
     * tracked is not told. @param d  of the evaluation
     */
    template <class Run> auto measure(const detail &d, Run &&run) -> decltype(run())
    {
        const std::string flag(d.flag());
        const std::optional<std::string> variant(d.variant());
        const auto began = std::chrono::steady_clock::now();
        auto tell = [&](bool failed) noexcept {
            const auto took = std::chrono::steady_clock::now() - began;
            flagver_track_outcome(get(), flag.c_str(), variant ? variant->c_str() : nullptr, failed,
                                  std::chrono::nanoseconds(took).count(), nullptr);
        };
        try {
            if constexpr (std::is_void_v<decltype(run())>) {
                run();
                tell(false);
            } else {
                decltype(run()) result = run();
                tell(false);
                return result;
            }
        } catch (...) {
            tell(true);
            throw;
        }
    }
    void track_flush()
    {
        detail_::attempt a;
        a.check(flagver_track_flush(get(), a));
    }
    /** visit(const flagver_track_group &) */
    template <class Visit> void track_report(Visit &&visit, const track_options &t = {}) const
    {
        const flagver_track_options o = detail_::raw(t);
        detail_::visitor<Visit, const flagver_track_group *> v(visit);
        detail_::attempt a;
        const int r = flagver_track_report(get(), &o, v.goes_over, &v, a);
        v.rethrow();
        a.check(r);
    }
    std::string track_openmetrics(const track_options &t = {}) const
    {
        const flagver_track_options o = detail_::raw(t);
        detail_::attempt a;
        detail_::owned_text text;
        a.check(flagver_track_openmetrics(get(), &o, text.out(), a));
        return text.str();
    }

    // ---- the id map (flagver/idmap.h)

    std::optional<std::string> new_id_of(zstring entity, zstring old_id) const
    {
        return mapped(flagver_idmap_get, entity, old_id);
    }
    std::optional<std::string> old_id_of(zstring entity, zstring new_id) const
    {
        return mapped(flagver_idmap_get_old, entity, new_id);
    }
    /** visit(const flagver_idmap_entry &). @param entity  NULL: all */
    template <class Visit> void ids(zstring entity, Visit &&visit, zstring after = nullptr) const
    {
        walk<const flagver_idmap_entry *>(visit, [&](auto step, void *data, auto *e) {
            return flagver_idmap_visit(get(), entity.c_str(), after.c_str(), step, data, e);
        });
    }

    /** For what is only there in C. Closed by this object. */
    flagver_client *get() const noexcept
    {
        return client_.get();
    }

  private:
    friend class route;
    struct closing {
        void operator()(flagver_client *c) const noexcept
        {
            flagver_close(c);
        }
    };
    client(flagver_client *made, std::shared_ptr<detail_::callbacks> shared) noexcept
        : callbacks_(std::move(shared)), client_(made)
    {
    }

    template <class Run, class Kept> struct running {
        Run &run;
        std::optional<Kept> returned;
        std::exception_ptr thrown;

        static int call(void *data, flagver_txn *txn, flagver_error *err) noexcept
        {
            running &self = *static_cast<running *>(data);
            transaction t(txn, transaction::lent());

            self.thrown = nullptr;
            try {
                if constexpr (std::is_same_v<Kept, std::monostate>)
                    self.run(t);
                else
                    self.returned.emplace(self.run(t));
                return 0;
            } catch (const error &e) {
                self.thrown = std::current_exception();
                flagver_error dropped;
                return e.name()[0] ? detail_::caught(err ? err : &dropped) : ended(err);
            } catch (...) {
                self.thrown = std::current_exception();
                return ended(err);
            }
        }
        static int ended(flagver_error *err) noexcept
        {
            return err ? detail_::told(err, FLAGVER_EINVAL, "the function threw") : FLAGVER_EINVAL;
        }
    };

    template <class Call> static std::optional<version> found(Call call)
    {
        detail_::attempt a;
        flagver_version *v = nullptr;
        const int r = call(&v, static_cast<flagver_error *>(a));
        if (r == FLAGVER_ENOTFOUND)
            return std::nullopt;
        a.check(r);
        return version(v);
    }
    template <class Thing, class Visit, class Call> static void walk(Visit &visit, Call call)
    {
        detail_::visitor<Visit, Thing> v(visit);
        detail_::attempt a;
        const int r = call(v.goes_on, static_cast<void *>(&v), static_cast<flagver_error *>(a));
        v.rethrow();
        a.check(r);
    }
    template <class Call>
    std::optional<std::string> mapped(Call call, zstring entity, zstring of) const
    {
        char id[FLAGVER_IDMAP_ID_SIZE];
        detail_::attempt a;
        const int r = call(get(), entity.c_str(), of.c_str(), id, a);
        if (r == FLAGVER_ENOTFOUND)
            return std::nullopt;
        a.check(r);
        return std::string(id);
    }

    // The client is closed first: until then its functions are called.
    std::shared_ptr<detail_::callbacks> callbacks_;
    std::unique_ptr<flagver_client, closing> client_;
};

inline transaction::transaction(client &in, const actor &who, const transaction_options &options)
    : txn_(nullptr), owned_(true)
{
    const detail_::raw_actor raw(who);
    const flagver_txn_options o = detail_::raw(options);
    detail_::attempt a;
    a.check(flagver_txn_begin(in.get(), raw.get(), &o, &txn_, a));
}

/** UUIDs made of names (flagver_uuid_v5(), flagver_uuid_v8()). */
inline std::string uuid_v5(zstring name_space, std::string_view name)
{
    char text[FLAGVER_UUID_SIZE];
    detail_::attempt a;
    a.check(flagver_uuid_v5(name_space.c_str(), name.data(), name.size(), text, a));
    return text;
}
inline std::string uuid_v8(zstring name_space, std::string_view name)
{
    char text[FLAGVER_UUID_SIZE];
    detail_::attempt a;
    a.check(flagver_uuid_v8(name_space.c_str(), name.data(), name.size(), text, a));
    return text;
}

// ---- routes (flagver/route.h) ----

enum class stage : int32_t {
    off = FLAGVER_STAGE_OFF,
    dualwrite = FLAGVER_STAGE_DUALWRITE,
    backfill = FLAGVER_STAGE_BACKFILL,
    shadow = FLAGVER_STAGE_SHADOW,
    ramp = FLAGVER_STAGE_RAMP,
    live = FLAGVER_STAGE_LIVE,
    rampdown = FLAGVER_STAGE_RAMPDOWN,
    complete = FLAGVER_STAGE_COMPLETE
};

inline const char *stage_name(stage s) noexcept
{
    return flagver_stage_name(static_cast<int>(s));
}

/** What a side's function is asked (flagver_side_call); as long as that runs. */
class side_call
{
  public:
    /** Nothing while a record is created whose key the side makes: tell it with created(). */
    std::optional<std::string_view> key() const noexcept
    {
        return detail_::maybe(call_.key);
    }
    std::string_view operation_id() const noexcept
    {
        return call_.operation_id ? call_.operation_id : "";
    }
    std::string_view payload() const noexcept
    {
        return call_.payload ? std::string_view(static_cast<const char *>(call_.payload),
                                                call_.payload_length)
                             : std::string_view();
    }
    /** CLOCK_MONOTONIC in nanoseconds; 0: never */
    int64_t deadline() const noexcept
    {
        return call_.deadline;
    }
    /** Enlisted sides: the transaction to write in; flagver_txn_connection() has its database. */
    flagver_txn *txn() const noexcept
    {
        return call_.txn;
    }
    /** The key of the record that was created. */
    void created(zstring key) const
    {
        if (sink_)
            detail_::must(flagver_sink_key(sink_, key.c_str()));
    }
    const flagver_side_call &raw() const noexcept
    {
        return call_;
    }

  private:
    friend class route;
    side_call(const flagver_side_call *call, flagver_sink *sink) noexcept
        : call_(*call), sink_(sink)
    {
    }
    const flagver_side_call &call_;
    flagver_sink *sink_;
};

/** Takes what a scan finds, in byte order of keys. */
class rows
{
  public:
    void add(zstring key, std::string_view value) const
    {
        detail_::must(flagver_sink_row(sink_, key.c_str(), value.data(), value.size()));
    }
    /** There is nothing behind what was added. */
    void end() const noexcept
    {
        flagver_sink_end(sink_);
    }

  private:
    friend class route;
    explicit rows(flagver_sink *sink) noexcept : sink_(sink)
    {
    }
    flagver_sink *sink_;
};

/**
 * The functions by which a side is reached (flagver_side). What they throw is an error of the side: a
 * flagver::error its own, any other std::exception FLAGVER_EUNAVAILABLE in its words. `remove` and below
 * may be left out where C allows it.
 */
struct side {
    const client *enlisted = nullptr; ///< its rows live in this client's database; NULL: anywhere
    /** Nothing: there is no such record. */
    std::function<std::optional<std::string>(const side_call &)> read;
    std::function<void(const side_call &, std::string_view value)> write;
    std::function<void(const side_call &)> remove;
    std::function<void(const side_call &, std::string_view after, uint32_t limit, const rows &)>
        scan;
    std::function<void(const side_call &, const flagver_side_row *rows, std::size_t count)>
        write_many;
    std::function<void(const side_call &)> deactivate;
    std::function<uint64_t(const side_call &)> count;
    /** The key of the record that `write` has created for this operation_id, if it has. */
    std::function<std::optional<std::string>(const side_call &)> find_by_operation;
};

/** Options of a route (flagver_route_options). */
struct route_options {
    side old_side, new_side;
    std::string flag; ///< the stage comes from this flag, not from a migration
    std::optional<stage> default_stage;
    int order = FLAGVER_ORDER_CONCURRENT;
    int workers = 0;
    std::chrono::milliseconds shadow_timeout{ 0 };
    int check_ratio = 0, sampling_ratio = 0;
    bool background = false;
    std::chrono::milliseconds chunk{ 0 }; ///< copies: about so long takes what is copied at once
    int copy_share = 0;                   ///< copies: in percent of the time
    /** Copies: 0 go on, above: after so long, below: not in this step. One that throws: not in this step. */
    std::function<std::chrono::milliseconds()> throttle;
    int verify = FLAGVER_VERIFY_BY_CALL; ///< what steps do about differences
    std::function<void(const flagver_difference &)> difference;
    /** Are these two values of one record equal? One that throws cannot tell. */
    std::function<bool(std::string_view key, std::string_view old_value,
                       std::string_view new_value)>
        compare;
    std::function<void(const flagver_route_event &)> event;
    std::function<void(const flagver_route_alert &)> alert;
};

/** What came of an operation (flagver_route_result). */
class route_result
{
  public:
    route_result() noexcept : result_(new_result())
    {
    }
    route_result(route_result &&other) noexcept
        : result_(std::exchange(other.result_, new_result()))
    {
    }
    route_result &operator=(route_result &&other) noexcept
    {
        std::swap(result_, other.result_);
        return *this;
    }
    ~route_result()
    {
        flagver_route_result_clear(&result_);
    }
    /** Reads: nothing where there is no such record. */
    std::optional<std::string_view> value() const noexcept
    {
        return result_.value ? std::optional(std::string_view(result_.value, result_.length))
                             : std::nullopt;
    }
    /** Of what was created. */
    std::optional<std::string_view> key() const noexcept
    {
        return detail_::maybe(result_.key);
    }
    flagver::stage stage() const noexcept
    {
        return static_cast<flagver::stage>(result_.stage);
    }
    /** FLAGVER_SIDE_… */
    int side() const noexcept
    {
        return result_.side;
    }
    /** Writes: the other side has not got it yet, and will. */
    bool pending() const noexcept
    {
        return result_.pending;
    }
    /** Do the two answers agree? Nothing: they were not compared. */
    std::optional<bool> consistent() const noexcept
    {
        return result_.consistent < 0 ? std::nullopt : std::optional<bool>(result_.consistent != 0);
    }
    const flagver_route_result &raw() const noexcept
    {
        return result_;
    }

  private:
    friend class route;
    static flagver_route_result new_result() noexcept
    {
        flagver_route_result r = flagver_route_result();
        r.size = sizeof r;
        return r;
    }
    flagver_route_result result_;
};

/** What a call on a route can be told (flagver_route_call). */
struct route_call {
    const context *user = nullptr;
    std::string payload, operation_id;
    bool strict = false;
};

/** How a change of stage is asked for (flagver_route_change). */
struct route_change {
    double percentage = 0;
    std::string forced, note;
    std::chrono::milliseconds wait{ 0 };
};

/**
 * Two sides, and where a read or a write goes. Any number of threads; when it ends it waits for
 * functions of its sides that are still running.
 */
class route
{
  public:
    /** @param migration  its name; NULL with route_options::flag */
    route(const client &in, zstring migration, const route_options &o)
        : state_(std::make_unique<state>(in, o))
    {
        const flagver_route_options raw = state_->raw();
        detail_::attempt a;
        flagver_route *made = nullptr;
        a.check(flagver_route_open(in.get(), migration.c_str(), &raw, &made, a));
        route_ = made;
    }
    route(route &&other) noexcept
        : state_(std::move(other.state_)), route_(std::exchange(other.route_, nullptr))
    {
    }
    route &operator=(route &&other) noexcept
    {
        std::swap(state_, other.state_);
        std::swap(route_, other.route_);
        return *this;
    }
    ~route()
    {
        // What the functions use has to outlast them.
        while (flagver_route_close(route_, 1000, nullptr) == FLAGVER_EBUSY) {
        }
    }
    /** FLAGVER_EBUSY is thrown when a side's function does not return in time: close it again. */
    void close(std::chrono::milliseconds wait)
    {
        detail_::attempt a;
        a.check(flagver_route_close(route_, detail_::ms(wait), a));
        route_ = nullptr;
    }

    /** A record that is not there is no error: then result.value() is nothing. */
    route_result read(zstring key, const route_call &call = {}) const
    {
        route_result result;
        detail_::attempt a;
        const flagver_route_call c = raw(call);
        const int r = flagver_route_read(route_, key.c_str(), &c, &result.result_, a);
        if (r != FLAGVER_ENOTFOUND)
            a.check(r);
        return result;
    }
    /** That the other side has failed is in the result. @param key  NULL: the authority makes it */
    route_result write(zstring key, std::string_view value, const route_call &call = {}) const
    {
        return made(call, [&](auto *c, auto *result, auto *e) {
            return flagver_route_write(route_, key.c_str(), value.data(), value.size(), c, result,
                                       e);
        });
    }
    route_result remove(zstring key, const route_call &call = {}) const
    {
        return made(call, [&](auto *c, auto *result, auto *e) {
            return flagver_route_remove(route_, key.c_str(), c, result, e);
        });
    }
    /** Inside a transaction, together with what else is written there. */
    route_result write_in(const transaction &t, zstring key, std::string_view value,
                          const route_call &call = {}) const
    {
        return made(call, [&](auto *c, auto *result, auto *e) {
            return flagver_route_write_in(route_, t.get(), key.c_str(), value.data(), value.size(),
                                          c, result, e);
        });
    }
    route_result remove_in(const transaction &t, zstring key, const route_call &call = {}) const
    {
        return made(call, [&](auto *c, auto *result, auto *e) {
            return flagver_route_remove_in(route_, t.get(), key.c_str(), c, result, e);
        });
    }

    void go_to(const actor &who, stage to, const route_change &change = {}) const
    {
        const detail_::raw_actor raw(who);
        flagver_route_change c = flagver_route_change();
        detail_::attempt a;
        c.size = sizeof c;
        c.percentage = change.percentage;
        c.forced = detail_::or_null(change.forced);
        c.note = detail_::or_null(change.note);
        c.wait_ms = detail_::ms(change.wait);
        a.check(flagver_route_stage(route_, raw.get(), static_cast<int>(to), &c, a));
    }
    void roll_back(const actor &who, const std::string &note) const
    {
        const detail_::raw_actor raw(who);
        detail_::attempt a;
        a.check(flagver_route_rollback(route_, raw.get(), detail_::or_null(note), a));
    }
    flagver_route_progress step(std::chrono::milliseconds budget) const
    {
        flagver_route_progress progress = flagver_route_progress();
        detail_::attempt a;
        progress.size = sizeof progress;
        a.check(flagver_route_step(route_, detail_::ms(budget), &progress, a));
        return progress;
    }
    /** JSON text */
    std::string status() const
    {
        detail_::attempt a;
        detail_::owned_text text;
        a.check(flagver_route_status(route_, text.out(), a));
        return text.str();
    }
    /** How many keys were compared, differ, and are in doubt (flagver_compare_options.ret_left_out). */
    struct comparison {
        uint64_t compared = 0, differences = 0, left_out = 0;
    };
    /** visit(const flagver_difference &), which may return false to end. */
    template <class Visit> comparison verify(Visit &&visit, bool repair = false) const
    {
        flagver_compare_options o = flagver_compare_options();
        detail_::visitor<Visit, const flagver_difference *> v(visit);
        detail_::attempt a;
        comparison c;

        o.size = sizeof o;
        o.repair = repair;
        o.ret_left_out = &c.left_out;
        const int r = flagver_route_verify(route_, &o, v.goes_on, &v, &c.compared, &c.differences,
                                           a);
        v.rethrow();
        a.check(r);
        return c;
    }
    flagver_route *get() const noexcept
    {
        return route_;
    }

  private:
    /** The functions, at one address as long as the route is there. */
    struct state {
        route_options options;
        std::shared_ptr<detail_::callbacks> of;

        state(const client &in, const route_options &o) : options(o), of(in.callbacks_)
        {
        }

        flagver_route_options raw()
        {
            flagver_route_options o = flagver_route_options();
            o.size = sizeof o;
            o.flag = detail_::or_null(options.flag);
            o.default_stage = options.default_stage ? static_cast<int32_t>(*options.default_stage)
                                                    : 0;
            o.order = options.order;
            o.old_side = raw(options.old_side);
            o.new_side = raw(options.new_side);
            o.compare = options.compare ? compare : nullptr;
            o.event = options.event ? event : nullptr;
            o.alert = options.alert ? alert : nullptr;
            o.throttle = options.throttle ? throttle : nullptr;
            o.verify = options.verify;
            o.difference = options.difference ? difference : nullptr;
            o.compare_data = o.event_data = o.alert_data = this;
            o.throttle_data = o.difference_data = this;
            o.chunk_ms = detail_::ms(options.chunk);
            o.copy_share = options.copy_share;
            o.workers = options.workers;
            o.shadow_timeout_ms = detail_::ms(options.shadow_timeout);
            o.check_ratio = options.check_ratio;
            o.sampling_ratio = options.sampling_ratio;
            o.background = options.background;
            return o;
        }
        static flagver_side raw(side &s)
        {
            flagver_side o = flagver_side();
            o.size = sizeof o;
            o.client = s.enlisted ? s.enlisted->get() : nullptr;
            o.data = &s;
            o.read = s.read ? read : nullptr;
            o.write = s.write ? write : nullptr;
            o.remove = s.remove ? remove : nullptr;
            o.scan = s.scan ? scan : nullptr;
            o.write_many = s.write_many ? write_many : nullptr;
            o.deactivate = s.deactivate ? deactivate : nullptr;
            o.count = s.count ? count : nullptr;
            o.find_by_operation = s.find_by_operation ? find_by_operation : nullptr;
            return o;
        }

        template <class Call> static int guarded(flagver_error *err, Call call) noexcept
        {
            try {
                return call();
            } catch (...) {
                return detail_::caught(err);
            }
        }
        static side &of_side(void *data) noexcept
        {
            return *static_cast<side *>(data);
        }
        static int read(void *data, const flagver_side_call *call, flagver_sink *sink,
                        flagver_error *err) noexcept
        {
            return guarded(err, [&]() -> int {
                const std::optional<std::string> value = of_side(data).read(side_call(call, sink));
                return value ? flagver_sink_value(sink, value->data(), value->size())
                             : detail_::told(err, FLAGVER_ENOTFOUND, "no such record");
            });
        }
        static int write(void *data, const flagver_side_call *call, const void *value,
                         std::size_t length, flagver_sink *sink, flagver_error *err) noexcept
        {
            return guarded(err, [&] {
                const char *text = static_cast<const char *>(value);
                of_side(data).write(side_call(call, sink),
                                    std::string_view(text ? text : "", length));
                return 0;
            });
        }
        static int remove(void *data, const flagver_side_call *call, flagver_error *err) noexcept
        {
            return guarded(err, [&] {
                of_side(data).remove(side_call(call, nullptr));
                return 0;
            });
        }
        static int scan(void *data, const flagver_side_call *call, const char *after,
                        uint32_t limit, flagver_sink *sink, flagver_error *err) noexcept
        {
            return guarded(err, [&] {
                of_side(data).scan(side_call(call, nullptr), after, limit, rows(sink));
                return 0;
            });
        }
        static int write_many(void *data, const flagver_side_call *call,
                              const flagver_side_row *all, std::size_t count,
                              flagver_error *err) noexcept
        {
            return guarded(err, [&] {
                of_side(data).write_many(side_call(call, nullptr), all, count);
                return 0;
            });
        }
        static int deactivate(void *data, const flagver_side_call *call,
                              flagver_error *err) noexcept
        {
            return guarded(err, [&] {
                of_side(data).deactivate(side_call(call, nullptr));
                return 0;
            });
        }

        static int count(void *data, const flagver_side_call *call, uint64_t *ret_count,
                         flagver_error *err) noexcept
        {
            return guarded(err, [&] {
                *ret_count = of_side(data).count(side_call(call, nullptr));
                return 0;
            });
        }
        static int find_by_operation(void *data, const flagver_side_call *call, flagver_sink *sink,
                                     flagver_error *err) noexcept
        {
            return guarded(err, [&]() -> int {
                const std::optional<std::string> key = of_side(data).find_by_operation(
                    side_call(call, sink));
                return key ? flagver_sink_key(sink, key->c_str())
                           : detail_::told(err, FLAGVER_ENOTFOUND, "no such operation");
            });
        }

        static state &self(void *data) noexcept
        {
            return *static_cast<state *>(data);
        }
        static int compare(void *data, const char *key, const void *old_value,
                           std::size_t old_length, const void *new_value,
                           std::size_t new_length) noexcept
        {
            const char *a = static_cast<const char *>(old_value);
            const char *b = static_cast<const char *>(new_value);
            try {
                return self(data).options.compare(key, std::string_view(a ? a : "", old_length),
                                                  std::string_view(b ? b : "", new_length));
            } catch (...) {
                self(data).of->lost("route_options::compare");
                return -1;
            }
        }
        static int32_t throttle(void *data) noexcept
        {
            try {
                return detail_::ms(self(data).options.throttle());
            } catch (...) {
                self(data).of->lost("route_options::throttle");
                return -1;
            }
        }
        static void difference(void *data, const flagver_difference *what) noexcept
        {
            try {
                self(data).options.difference(*what);
            } catch (...) {
                self(data).of->lost("route_options::difference");
            }
        }
        static void event(void *data, const flagver_route_event *e) noexcept
        {
            try {
                self(data).options.event(*e);
            } catch (...) {
                self(data).of->lost("route_options::event");
            }
        }
        static void alert(void *data, const flagver_route_alert *what) noexcept
        {
            try {
                self(data).options.alert(*what);
            } catch (...) {
                self(data).of->lost("route_options::alert");
            }
        }
    };

    static flagver_route_call raw(const route_call &call) noexcept
    {
        flagver_route_call c = flagver_route_call();
        c.size = sizeof c;
        c.context = call.user ? call.user->get() : nullptr;
        c.payload = call.payload.empty() ? nullptr : call.payload.data();
        c.payload_length = call.payload.size();
        c.operation_id = detail_::or_null(call.operation_id);
        c.strict = call.strict;
        return c;
    }
    template <class Call> static route_result made(const route_call &call, Call run)
    {
        route_result result;
        detail_::attempt a;
        const flagver_route_call c = raw(call);
        a.check(run(&c, &result.result_, static_cast<flagver_error *>(a)));
        return result;
    }

    std::unique_ptr<state> state_;
    flagver_route *route_ = nullptr;
};

} // namespace flagver

#endif
