// Written by `jetway cockpit setup`; `jetway cockpit setup --undo` removes it.
//
// Where sudo has no option `-A`, Cockpit 355 and newer becomes root by a unit of systemd. This rule agrees to that unit in
// the Cockpit sessions that Jetway has opened for administrators, while they are open, and to nothing else.
// `jetway-cockpit-session` marks those sessions, in a folder of root. Within such a session, as with a rule for sudo,
// every program of the user can become root.
polkit.addRule(function (action, subject) {
    if (action.id !== "org.freedesktop.systemd1.manage-units"
        || action.lookup("verb") !== "start"
        || action.lookup("unit") !== "cockpit-superuser-" + subject.pid + ".service"
        || subject.no_new_privileges !== false
        || !subject.session
        // The process itself is in the session, and not in another unit of the same user.
        || subject.system_unit !== "session-" + subject.session + ".scope") {
        return polkit.Result.NOT_HANDLED;
    }
    var mark = "/run/jetway/administrators/" + subject.session + "@" + subject.user;
    try {
        polkit.spawn(["/usr/bin/test", "-f", mark]);
    } catch (missing) {
        return polkit.Result.NOT_HANDLED;
    }
    return polkit.Result.YES;
});
