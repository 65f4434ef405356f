//! Twenty people talk while versions come, some leave, and at last everything is shut down.

use crate::deployment::{Deployment, PATIENCE, chat, own, until};
use everwake_client::{Client, ClientEvent, Closed, Value};
use everwake_protocol::client::CloseCode;
use std::time::Duration;

const PEOPLE: usize = 20;
const ROOMS: usize = 4;
const WORDS: usize = 30;

/// What the client is told next.
async fn next(client: &Client) -> ClientEvent {
    let event = tokio::time::timeout(PATIENCE, client.next_event()).await;
    event.expect("nothing more comes").expect("the connection is closed")
}

/// Everything that was said in the client's room up to `count` words: who, words, number.
async fn listen(client: &Client, count: usize) -> Vec<(String, String, i128)> {
    let mut heard = Vec::new();
    while heard.len() < count {
        match next(client).await {
            ClientEvent::Called { method, args, .. } if method == "said" => {
                match Value::decode_list(&args).unwrap().as_slice() {
                    [_, Value::Text(who), Value::Text(words), Value::Int(number)] => {
                        heard.push((who.clone(), words.clone(), *number));
                    }
                    other => panic!("`said` with {other:?}"),
                }
            }
            ClientEvent::Inconsistent { text } => panic!("the client was told what does not fit: {text}"),
            _ => {}
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_people_talk_through_two_swaps() {
    let versions = [chat(&[], "2"), chat(&[], "3")];
    let deployment = Deployment::start(&chat(&[], "1")).await;
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        people.push(deployment.enter(&format!("p{n}"), &format!("room {}", n % ROOMS)).await);
    }
    for round in 0..WORDS {
        for (n, client) in people.iter().enumerate() {
            let words = [format!("p{n} says {round}").into()];
            let answer = client.call(client.own().unwrap(), "say", &words);
            if n == PEOPLE / 2 && round % 10 == 5 {
                // A swap while a call is on its way.
                let version = versions.get(round / 10);
                let publish = async {
                    if let Some(version) = version {
                        let report = deployment.publish(version).await;
                        assert!(report.published, "{report:?}");
                    }
                };
                let (answer, ()) = tokio::join!(answer, publish);
                answer.unwrap();
            } else {
                answer.await.unwrap();
            }
        }
    }
    let count = PEOPLE / ROOMS * WORDS;
    for (n, client) in people.iter().enumerate() {
        let heard = listen(client, count).await;
        // Who came first heard all of it.
        let numbers: Vec<i128> = heard.iter().map(|(.., number)| *number).collect();
        assert_eq!(numbers, (1..=count as i128).collect::<Vec<_>>(), "p{n}");
        let version = |words: &str| words.split_once(" [v").map_or(1, |(_, mark)| mark[..1].parse().unwrap());
        let seen: Vec<u32> = heard.iter().map(|(_, words, _)| version(words)).collect();
        assert!(seen.is_sorted() && seen.first() == Some(&1) && seen.last() == Some(&3), "p{n}: {seen:?}");
        let own_words: Vec<String> = (0..WORDS).map(|round| format!("p{n} says {round}")).collect();
        let said = heard.iter().filter(|(who, ..)| *who == format!("p{n}"));
        let said: Vec<&str> =
            said.map(|(_, words, _)| words.split(" [v").next().unwrap_or_default()).collect();
        assert_eq!(said, own_words, "p{n}");
    }
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_attribute_appears_and_who_leaves_is_gone() {
    let second = chat(&["v2"], "2");
    let deployment = Deployment::start(&chat(&[], "1")).await;
    let alice = deployment.enter("alice", "hall").await;
    let bob = deployment.enter("bob", "hall").await;
    assert_eq!(own(&alice, "mood"), None);
    let report = deployment.publish(&second).await;
    assert!(report.published, "{report:?}");
    alice.call(alice.own().unwrap(), "say", &["hello!".into()]).await.unwrap();
    until(&alice, "mood", |alice| own(alice, "mood") == Some("loud".into())).await;
    until(&bob, "mood", |bob| own(bob, "mood") == Some("calm".into())).await;
    let of_alice = alice.own();
    assert_eq!(deployment.sessions().await, 2);
    alice.close().await;
    while !matches!(next(&bob).await, ClientEvent::Called { method, .. } if method == "left") {}
    let again = deployment.enter("alice", "hall").await;
    assert_ne!(again.own(), of_alice);
    assert_eq!(deployment.sessions().await, 2);
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_is_told_to_everybody() {
    let deployment = Deployment::start(&chat(&[], "1")).await;
    let mut people = Vec::new();
    for n in 0..5 {
        people.push(deployment.enter(&format!("p{n}"), "hall").await);
    }
    deployment.stop().await;
    for client in people {
        let closed =
            tokio::time::timeout(Duration::from_secs(10), client.closed()).await.expect("nobody was told");
        let told = matches!(&closed, Closed::ByServer { code: Some(CloseCode::Shutdown), .. });
        assert!(told, "{closed:?}");
    }
}
