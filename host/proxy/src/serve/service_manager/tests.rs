use super::*;

const WATCHDOG: Duration = Duration::from_secs(10);

/// Returns a service manager and the messages that it gets.
fn manager() -> (ServiceManager, mpsc::UnboundedReceiver<String>) {
    let (sender, messages) = mpsc::unbounded_channel();
    let send = move |state: &[NotifyState<'_>]| {
        let lines: Vec<String> = state.iter().map(ToString::to_string).collect();
        sender.send(lines.join("\n")).unwrap();
        Ok(())
    };
    let manager = ServiceManager {
        send: Arc::new(send),
        watchdog: Some(WATCHDOG),
    };
    (manager, messages)
}

/// Starts a worker that answers so often, and then hangs.
fn worker(answers: usize) -> mpsc::UnboundedSender<WorkerCommand> {
    let (sender, mut commands) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for _ in 0..answers {
            let Some(WorkerCommand::Heartbeat(reply)) = commands.recv().await else {
                return;
            };
            reply.try_send(()).unwrap();
        }
        std::future::pending::<()>().await;
        drop(commands);
    });
    sender
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_hangs_ends_the_signs_of_life() {
    let (manager, mut messages) = manager();
    let reports = manager.report(|| "serving".to_owned(), vec![worker(usize::MAX), worker(3)]);
    let mut lives = 0;
    // The clock is paused: it goes on when there is nothing to do.
    while let Ok(message) = tokio::time::timeout(WATCHDOG * 3, messages.recv()).await {
        lives += usize::from(message.unwrap() == "WATCHDOG=1");
    }
    assert_eq!(lives, 3);
    drop(reports);
}

#[tokio::test(start_paused = true)]
async fn the_ends_of_reports_and_workers_end_the_signs_of_life() {
    let (manager, mut messages) = manager();
    let (gone, _) = mpsc::unbounded_channel();
    let reports = manager.report(|| "serving".to_owned(), vec![worker(usize::MAX), gone]);
    let first = messages.recv().await.unwrap();
    assert!(first == "STATUS=serving", "{first}");
    drop(reports);
    drop(manager);
    assert_eq!(messages.recv().await, None);
}

#[test]
fn a_reload_is_announced_with_the_time_and_followed_by_the_state() {
    let (manager, mut messages) = manager();
    manager.reloading();
    manager.ready("serving configuration 0");
    manager.stopping();
    let mut next = || messages.try_recv().unwrap();
    assert!(next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(next(), "READY=1\nSTATUS=serving configuration 0");
    assert!(next().starts_with("STOPPING=1\n"));
}
